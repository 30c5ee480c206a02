{{/* What chooses the Pods; it cannot change. */}}
{{- define "connector.selector" -}}
app.kubernetes.io/name: control-plane-connector
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* Labels of objects; what the chart sets counts before what is given. */}}
{{- define "connector.labels" -}}
{{- $labels := include "connector.podLabels" . | fromYaml }}
{{- $chart := printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- $_ := merge $labels (dict "app.kubernetes.io/managed-by" .Release.Service "helm.sh/chart" $chart) }}
{{- toYaml $labels }}
{{- end }}

{{- define "connector.podLabels" -}}
{{- $labels := include "connector.selector" . | fromYaml }}
{{- $_ := set $labels "app.kubernetes.io/version" .Chart.AppVersion }}
{{- merge $labels .Values.commonLabels | toYaml }}
{{- end }}

{{- define "connector.listenAddress" -}}
{{- if contains ":" .Values.listenAddress }}[{{ .Values.listenAddress }}]{{ else }}{{ .Values.listenAddress }}{{ end }}
{{- end }}

{{- define "connector.serviceAccount" -}}
{{- if .Values.serviceAccount.name }}
{{- .Values.serviceAccount.name }}
{{- else if .Values.serviceAccount.create }}
{{- .Release.Name }}
{{- else -}}
default
{{- end }}
{{- end }}

{{- define "connector.subject" -}}
subjects:
- {kind: ServiceAccount, name: {{ include "connector.serviceAccount" . | quote }}, namespace: {{ .Release.Namespace | quote }}}
{{- end }}

{{- define "connector.image" -}}
{{- with .Values.image }}
{{- .repository }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* Whether the file of --config is needed. */}}
{{- define "connector.config" -}}
{{- with .Values.connectionSecrets.labels }}
connection-secret-labels: {{ toRawJson . }}
{{- end }}
{{- with .Values.connectionSecrets.annotations }}
connection-secret-annotations: {{ toRawJson . }}
{{- end }}
{{- with .Values.apis }}
apis:
{{- range . }}
- {{ toRawJson . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Whether any kind has fields that name Secrets of this cluster. */}}
{{- define "connector.readsInputSecrets" -}}
{{- range .Values.apis }}{{ if index . "input-secrets" }}true{{ end }}{{ end }}
{{- end }}
