//! What of a status is a problem.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{Reach, Status};
use crate::credential::{CredentialError, CredentialKind};

/// How long before its end a credential or certificate is told of. The connector renews a token of its own well before.
const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long nobody may have renewed a Lease. A lost one is taken over within half a minute; the rest is for clocks that differ.
const LEADERLESS: SignedDuration = SignedDuration::from_secs(90);

/// Fills in what is wrong.
pub(super) fn judge(status: &mut Status, credential: Option<&CredentialError>, now: Timestamp) {
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    replicas(status, now, &mut problems);
    match credential {
        // Another way into the Pod, or a right that only who looks has not.
        None | Some(CredentialError::NotMounted | CredentialError::Unreadable { .. }) => {}
        Some(error) => problems.push(error.to_string()),
    }
    for (what, expires) in expiries(status) {
        match expires.duration_since(now) {
            left if left <= SignedDuration::ZERO => problems.push(format!("the {what} expired at {expires}")),
            left if left < SOON => warnings.push(format!("the {what} expires at {expires}")),
            _ => {}
        }
    }
    for registration in status.api_services.iter().filter(|one| !one.is_available()) {
        let (name, message) = (&registration.name, &registration.message);
        problems.push(match registration.reason.as_str() {
            "" => format!("APIService {name} was not looked at by kube-apiserver yet"),
            reason => format!("APIService {name} is not available: {reason}: {message}"),
        });
    }
    match &status.control_plane.through_the_connector {
        Reach::Unreachable(why) => problems.push(format!("the connector does not reach the control plane: {why}")),
        Reach::Unknown(_) | Reach::Reachable => {}
    }
    if let Reach::Unreachable(why) = &status.control_plane.from_here {
        warnings.push(format!("the control plane is not reached from here: {why}"));
    }
    problems.extend(status.conflicts.iter().map(super::Conflict::what));
    if status.api_services.is_empty() && status.conflicts.is_empty() {
        warnings.push(
            "no API is registered: the control plane offers none, or the connector did not reach it yet".to_owned(),
        );
    }
    for conflict in &status.secret_conflicts {
        warnings.push(format!("{} {}/{}: {}", conflict.kind, conflict.namespace, conflict.name, conflict.message));
    }
    (status.healthy, status.problems, status.warnings) = (problems.is_empty(), problems, warnings);
}

fn replicas(status: &Status, now: Timestamp, problems: &mut Vec<String>) {
    let replicas = &status.replicas;
    // Without a look at the Pods nothing is said of them.
    if status.unread.iter().any(|unread| unread.what == "Pods") {
        return;
    }
    if replicas.wanted == 0 {
        problems.push("the Deployment is scaled to 0 replicas".to_owned());
    } else if usize::try_from(replicas.wanted).is_ok_and(|wanted| replicas.ready < wanted) {
        problems.push(format!("{} of {} replicas are ready", replicas.ready, replicas.wanted));
    }
    for pod in replicas.pods.iter().filter(|pod| !pod.ready) {
        problems.extend(pod.message.as_ref().map(|message| format!("Pod {}: {message}", pod.name)));
    }
    for leader in replicas.leaders.iter().filter(|_| replicas.ready > 0) {
        let renewed = leader.renewed.filter(|_| leader.holder.is_some());
        if renewed.is_none_or(|renewed| now.duration_since(renewed) > LEADERLESS) {
            problems.push(format!("no replica holds the Lease {}", leader.lease));
        }
    }
}

fn expiries(status: &Status) -> impl Iterator<Item = (&'static str, Timestamp)> {
    let credential = status.credential.as_ref().and_then(|credential| {
        let what = match credential.kind {
            CredentialKind::ClientCertificate => "client certificate for the control plane",
            _ => "token for the control plane",
        };
        Some((what, credential.expires?))
    });
    let serving = &status.serving_certificate;
    let certificate = serving.expires.map(|expires| ("serving certificate", expires));
    let ca = serving.ca_expires.map(|expires| ("CA of the serving certificate", expires));
    [credential, certificate, ca].into_iter().flatten()
}
