//! Whether kube-apiserver reaches the connector; and if not, why, by what it says.

use kube::Client;

use super::aggregation::unserved;
use super::{Commands, Finding, joined};
use crate::installed::Installed;
use crate::registration::{Registration, Registrations};
use crate::status::pods;

const CHECK: &str = "front";

/// Looks at the Pods, the Service and the APIServices of an install.
pub(super) async fn look(
    app: &Client,
    installed: &Installed,
    registrations: Option<&Registrations>,
    commands: &Commands,
) -> Vec<Finding> {
    let mut findings = vec![pods_of(app, installed, commands).await];
    let service = &installed.service;
    if let Some(wrong) = unserved(app, &service.namespace, &service.name).await {
        findings.push(Finding::error("service", wrong).mend(logs(installed, commands)));
    }
    let Some(registrations) = registrations else { return findings };
    let own = registrations.own();
    let broken: Vec<&Registration> = own.iter().filter(|one| !one.is_available()).collect();
    let place = Place { port: installed.container_port, installed, commands };
    // All lead to the same Service, so what is wrong with one is mostly wrong with all.
    let mut told: Vec<(String, Vec<&str>, Option<String>)> = Vec::new();
    for one in broken {
        let (why, mend) = place.interpret(&one.reason, &one.message);
        match told.iter_mut().find(|(known, ..)| *known == why) {
            Some((_, names, _)) => names.push(&one.name),
            None => told.push((why, vec![&one.name], mend)),
        }
    }
    match (own.len(), told.is_empty()) {
        (0, _) => findings.push(
            Finding::warning(CHECK, "no API is registered yet: the connector's log tells why")
                .mend(logs(installed, commands)),
        ),
        (_, true) => {
            findings.push(Finding::ok(
                CHECK,
                format!("kube-apiserver reaches the connector for {}", joined(own.iter().map(|one| &one.name))),
            ));
        }
        (_, false) => {}
    }
    for (why, names, mend) in told {
        let what = format!("{why} (APIService {})", joined(names.into_iter()));
        findings.push(Finding { mend, ..Finding::error(CHECK, what) });
    }
    findings
}

async fn pods_of(app: &Client, installed: &Installed, commands: &Commands) -> Finding {
    const CHECK: &str = "pods";
    let pods = match pods(app, installed).await {
        Ok(pods) => pods,
        Err(error) => return Finding::warning(CHECK, format!("Pods cannot be read: {error}")),
    };
    let ready = pods.iter().filter(|pod| pod.ready).count();
    let wanted = installed.replicas;
    if wanted == 0 {
        let scale = format!(
            "{} -n {} scale deployment {} --replicas=2",
            commands.app, installed.release.namespace, installed.deployment
        );
        return Finding::error(CHECK, "the Deployment is scaled to 0 replicas").mend(scale);
    }
    if usize::try_from(wanted).is_ok_and(|wanted| ready >= wanted) {
        return Finding::ok(CHECK, format!("{ready} of {wanted} replicas are ready"));
    }
    let why = pods
        .iter()
        .filter(|pod| !pod.ready)
        .find_map(|pod| Some(format!(": Pod {}: {}", pod.name, pod.message.as_ref()?)));
    let what = format!("{ready} of {wanted} replicas are ready{}", why.unwrap_or_default());
    Finding::error(CHECK, what).mend(logs(installed, commands))
}

fn logs(installed: &Installed, commands: &Commands) -> String {
    format!("{} -n {} logs deployment/{}", commands.app, installed.release.namespace, installed.deployment)
}

/// What there is to know to say how something is mended.
struct Place<'a> {
    port: u16,
    installed: &'a Installed,
    commands: &'a Commands,
}

impl Place<'_> {
    /// What kube-apiserver means with a condition of an APIService, and what to do. Reasons are those of kube-aggregator's
    /// availability controllers, messages those of Go's network library.
    fn interpret(&self, reason: &str, message: &str) -> (String, Option<String>) {
        let Self { port, installed, commands } = self;
        let (namespace, service) = (&installed.service.namespace, &installed.service.name);
        let app = &commands.app;
        let says = |text: &[&str]| text.iter().any(|part| message.contains(part));
        match reason {
            "ServiceNotFound" => {
                (format!("Service {namespace}/{service} does not exist"), Some(self.again("")))
            }
            "ServicePortError" => (
                format!("Service {namespace}/{service} has no port {}", installed.service.port),
                Some(self.again(&format!(" --set service.port={}", installed.service.port))),
            ),
            "EndpointsNotFound" | "MissingEndpoints" => {
                (format!("no Pod behind Service {namespace}/{service} is ready"), Some(logs(installed, commands)))
            }
            "FailedDiscoveryCheck" if says(&["deadline exceeded", "i/o timeout", "Client.Timeout", "no route to host", "network is unreachable"]) => {
                let open = if installed.host_network {
                    format!("open TCP port {port} from the control plane's nodes to the cluster's nodes")
                } else {
                    format!("in a private cluster, open TCP port {port} from kube-apiserver to the nodes in the firewall, or serve in the nodes' network")
                };
                let mend = (!installed.host_network).then(|| self.again(" --set hostNetwork=true"));
                (format!("kube-apiserver gets no answer from the Pods at port {port}: {open}"), mend)
            }
            "FailedDiscoveryCheck" if says(&["connection refused"]) => {
                (format!("nobody listens on port {port} of the Pods"), Some(logs(installed, commands)))
            }
            "FailedDiscoveryCheck" if says(&["x509:", "tls:"]) => (
                format!("kube-apiserver does not trust the serving certificate: {}", tail(message)),
                Some(match &installed.serving_certificate {
                    Some(at) => format!("{app} -n {namespace} get secret {}  # its certificate must be for {service}.{namespace}.svc, and by the CA of --tls-ca-file", at.secret),
                    None => format!("{app} -n {} rollout restart deployment {}", installed.release.namespace, installed.deployment),
                }),
            ),
            "FailedDiscoveryCheck" if says(&["no such host", "server misbehaving"]) => (
                format!("kube-apiserver cannot resolve the name of Service {namespace}/{service}"),
                Some(format!("{app} -n {namespace} get service {service} -o yaml")),
            ),
            "FailedDiscoveryCheck" if says(&["bad status from"]) && says(&[": 401"]) => (
                "the connector does not know kube-apiserver by its certificate: the requestheader CA is not the one of --proxy-client-cert-file".to_owned(),
                Some(format!("{app} -n kube-system get configmap extension-apiserver-authentication -o yaml")),
            ),
            "FailedDiscoveryCheck" if says(&["bad status from"]) && says(&[": 503"]) => (
                "the connector runs and knows nothing of the control plane yet".to_owned(),
                Some(logs(installed, commands)),
            ),
            "" => ("kube-apiserver did not look yet".to_owned(), None),
            reason => (format!("{reason}: {message}"), Some(logs(installed, commands))),
        }
    }

    /// The command that installs it again, as it was.
    fn again(&self, with: &str) -> String {
        let Installed { release, claim_namespace, managed_by, .. } = self.installed;
        match managed_by.as_deref() {
            Some("Helm") => {
                format!("helm upgrade {} CHART -n {} --reuse-values{with}", release.name, release.namespace)
            }
            _ => self.commands.install(release, claim_namespace.as_deref()) + with,
        }
    }
}

/// What follows the last of the addresses in a message: the cause.
fn tail(message: &str) -> &str {
    let from = ["x509:", "tls:"].iter().filter_map(|mark| message.find(mark)).min().unwrap_or_default();
    &message[from..]
}

#[cfg(test)]
mod tests;
