{{/* Of [path, value] pairs the value that is set; fails where two differ. */}}
{{- define "connector.agreed" -}}
{{- $path := "" }}
{{- $value := "" }}
{{- range . }}
{{- if last . }}
{{- if and $path (ne $value (last .)) }}
{{- fail (printf "%s (%q) and %s (%q) say different things: set one of them" $path $value (first .) (last .)) }}
{{- end }}
{{- if not $path }}{{ $path = first . }}{{ $value = last . }}{{ end }}
{{- end }}
{{- end }}
{{- $value }}
{{- end }}

{{- define "connector.host" -}}
{{- . | trimPrefix "https://" | trimSuffix "/" }}
{{- end }}

{{/*
What the values come to, the older product's included: {claimNamespace, secret, key, server, token}. With a server the chart makes
the Secret. The same is in connector-ops/src/manifests/settings.rs.
*/}}
{{- define "connector.settings" -}}
{{- $v := .Values }}
{{- $spaces := $v.spaces.controlPlane }}
{{- $claims := include "connector.agreed" (list
  (list "controlPlane.claimNamespace" $v.controlPlane.claimNamespace)
  (list "spaces.controlPlane.claimNamespace" $spaces.claimNamespace)
  (list "mcp.namespace" $v.mcp.namespace)) }}
{{- if not $claims }}
{{- fail "set controlPlane.claimNamespace: the namespace of the control plane that holds this cluster's claims" }}
{{- end }}
{{- /* `up` sets all of mcp.* beside a Secret that exists; its documentation sets the Secret and no token. */ -}}
{{- $provided := "" }}
{{- if or (not $v.mcp.secret.provision) (not $v.mcp.token) }}{{ $provided = $v.mcp.secret.name }}{{ end }}
{{- $secret := include "connector.agreed" (list
  (list "controlPlane.kubeconfigSecret.name" $v.controlPlane.kubeconfigSecret.name)
  (list "spaces.controlPlane.kubeconfigSecret.name" $spaces.kubeconfigSecret.name)
  (list "mcp.secret.name" $provided)) }}
{{- $key := $v.controlPlane.kubeconfigSecret.key }}
{{- with $spaces.kubeconfigSecret.key }}
{{- if eq $key "kubeconfig" }}{{ $key = . }}{{ end }}
{{- end }}
{{- $key = include "connector.agreed" (list
  (list "controlPlane.kubeconfigSecret.key" $key)
  (list "spaces.controlPlane.kubeconfigSecret.key" $spaces.kubeconfigSecret.key)) }}
{{- $server := "" }}
{{- $token := "" }}
{{- if $secret }}
{{- else if or $v.spaces.host $spaces.name }}
{{- /* `up` sets mcp.* beside spaces.*, with a token of its own. */ -}}
{{- $name := include "connector.agreed" (list (list "spaces.controlPlane.name" $spaces.name) (list "mcp.name" $v.mcp.name)) }}
{{- $token = $v.upbound.token | default $v.mcp.token }}
{{- if not (and $v.spaces.host $name $token) }}
{{- fail "set spaces.host, spaces.controlPlane.name and upbound.token, all of them, or controlPlane.kubeconfigSecret.name" }}
{{- end }}
{{- $group := $spaces.group | default "default" }}
{{- $server = printf "https://%s/apis/spaces.upbound.io/v1beta1/namespaces/%s/controlplanes/%s/k8s" (include "connector.host" $v.spaces.host) $group $name }}
{{- else if or $v.mcp.host $v.mcp.name $v.mcp.token }}
{{- $account := include "connector.agreed" (list (list "mcp.account" $v.mcp.account) (list "upbound.account" $v.upbound.account)) }}
{{- $token = $v.mcp.token | default $v.upbound.token }}
{{- if not (and $v.mcp.host $account $v.mcp.name $token) }}
{{- fail "set mcp.host, mcp.account, mcp.name and mcp.token, all of them, or controlPlane.kubeconfigSecret.name" }}
{{- end }}
{{- $group := $spaces.group | default "default" }}
{{- $server = printf "https://%s/v1/controlplanes/%s/%s/%s/k8s" (include "connector.host" $v.mcp.host) $account $group $v.mcp.name }}
{{- $secret = $v.mcp.secret.name }}
{{- else }}
{{- fail "set controlPlane.kubeconfigSecret.name: a Secret in this namespace that holds a kubeconfig of the control plane (kubectl create secret generic NAME --from-file=kubeconfig=FILE); or, of a control plane in a Space, spaces.host, spaces.controlPlane.name and upbound.token" }}
{{- end }}
{{- if $server }}{{ $key = "kubeconfig" }}{{ end }}
{{- $secret = $secret | default (printf "%s-control-plane" .Release.Name) }}
{{- dict "claimNamespace" $claims "secret" $secret "key" $key "server" $server "token" $token | toJson }}
{{- end }}
