//! What of a status is a problem.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{API_SERVICES, PODS, Reach, Status};
use crate::credential::{CredentialError, CredentialKind};

/// How long before its end a certificate is told of.
const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long nobody may have renewed a Lease. A lost one is taken over within half a minute; the rest is for clocks that differ.
const LEADERLESS: SignedDuration = SignedDuration::from_secs(90);

/// Fills in what is wrong.
pub(super) fn judge(status: &mut Status, credential: Option<&CredentialError>, now: Timestamp) {
    // Kinds that cannot be listed are in it already.
    let refused = std::mem::take(&mut status.problems);
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    replicas(status, now, &mut problems);
    match credential {
        // Another way into the Pod, or a right that only who looks has not.
        None | Some(CredentialError::NotMounted | CredentialError::Unreadable { .. }) => {}
        Some(error) => problems.push(error.to_string()),
    }
    if let Some(credential) = &status.credential
        && let Some(expires) = credential.expires
    {
        let what = match credential.kind {
            CredentialKind::ClientCertificate => "client certificate for the control plane",
            _ => "token for the control plane",
        };
        if expires <= now {
            problems.push(format!("the {what} expired at {expires}"));
        } else if credential.runs_out(now) {
            let why = if credential.renewed { "and was not renewed yet" } else { "and nobody is known to renew it" };
            warnings.push(format!("the {what} expires at {expires}, {why}"));
        }
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
    problems.extend(refused);
    problems.extend(status.conflicts.iter().map(super::Conflict::what));
    // What is not known is not well.
    for unread in status.unread.iter().filter(|unread| [API_SERVICES, PODS].contains(&unread.what.as_str())) {
        problems.push(format!("whether it works is not known, as {} cannot be read", unread.what));
    }
    let readable = !status.unread.iter().any(|unread| unread.what == API_SERVICES);
    if readable && status.api_services.is_empty() && status.conflicts.is_empty() {
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
    if status.unread.iter().any(|unread| unread.what == PODS) {
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
    let serving = &status.serving_certificate;
    let certificate = serving.expires.map(|expires| ("serving certificate", expires));
    let ca = serving.ca_expires.map(|expires| ("CA of the serving certificate", expires));
    [certificate, ca].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::super::{ControlPlaneStatus, Leader, Pod, ReleaseStatus, Replicas, ServingCertificate, Unread};
    use super::*;
    use crate::credential::Credential;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// One that is well at second 1,000,000.
    fn well() -> Status {
        let pod = |name: &str| Pod { name: name.to_owned(), node: None, ready: true, restarts: 0, message: None };
        let leader =
            Leader { lease: "connector-sync".to_owned(), holder: Some("a".to_owned()), renewed: Some(at(999_990)) };
        let registration = crate::registration::Registration {
            name: "v1.g".to_owned(),
            group: "g".to_owned(),
            version: "v1".to_owned(),
            available: "True".to_owned(),
            reason: "Passed".to_owned(),
            message: String::new(),
            since: None,
        };
        Status {
            healthy: false,
            problems: Vec::new(),
            warnings: Vec::new(),
            release: ReleaseStatus {
                namespace: "n".to_owned(),
                name: "r".to_owned(),
                version: None,
                managed_by: None,
                service: "n/r:443".to_owned(),
                cluster_id: None,
                claim_namespace: None,
            },
            control_plane: ControlPlaneStatus {
                through_the_connector: Reach::Reachable,
                from_here: Reach::Reachable,
                version: None,
            },
            credential: Some(Credential {
                secret: "s".to_owned(),
                key: "k".to_owned(),
                server: "https://c".to_owned(),
                kind: CredentialKind::ServiceAccountToken,
                subject: None,
                expires: Some(at(1_010_000)),
                renewed: true,
            }),
            serving_certificate: ServingCertificate::default(),
            replicas: Replicas { wanted: 2, ready: 2, pods: vec![pod("a"), pod("b")], leaders: vec![leader] },
            apis: Vec::new(),
            api_services: vec![registration],
            conflicts: Vec::new(),
            secret_conflicts: Vec::new(),
            last_errors: Vec::new(),
            unread: Vec::new(),
        }
    }

    fn judged(change: impl FnOnce(&mut Status)) -> (bool, Vec<String>, Vec<String>) {
        let mut status = well();
        change(&mut status);
        judge(&mut status, None, at(1_000_000));
        (status.healthy, status.problems, status.warnings)
    }

    #[test]
    fn one_that_is_well_is() {
        assert_eq!(judged(|_| ()), (true, Vec::new(), Vec::new()));
    }

    #[test]
    fn a_credential_that_nobody_renews_is_told_of_in_time() {
        let expires = |renewed, expires| {
            judged(move |status| {
                let credential = status.credential.as_mut().unwrap();
                (credential.renewed, credential.expires) = (renewed, Some(at(expires)));
            })
        };
        let (healthy, _, warnings) = expires(false, 1_010_000);
        assert!(healthy && warnings[0].contains("nobody is known to renew it"), "{warnings:?}");
        let (healthy, _, warnings) = expires(true, 1_000_100);
        assert!(healthy && warnings[0].contains("was not renewed yet"), "{warnings:?}");
        let (healthy, problems, _) = expires(true, 1_000_000);
        assert!(!healthy && problems[0].contains("expired at"), "{problems:?}");
    }

    #[test]
    fn what_keeps_it_from_working_is_a_problem() {
        let problem = |change: fn(&mut Status)| {
            let (healthy, problems, _) = judged(change);
            assert!(!healthy);
            problems.join("; ")
        };
        assert_eq!(problem(|status| status.replicas.ready = 1), "1 of 2 replicas are ready");
        assert_eq!(
            problem(|status| status.replicas.leaders[0].renewed = Some(at(999_000))),
            "no replica holds the Lease connector-sync"
        );
        assert_eq!(
            problem(|status| status.replicas.leaders[0].holder = None),
            "no replica holds the Lease connector-sync"
        );
        assert_eq!(
            problem(|status| {
                status.api_services.clear();
                status.unread.push(Unread { what: API_SERVICES.to_owned(), message: String::new() });
            }),
            "whether it works is not known, as APIServices cannot be read"
        );
        assert_eq!(
            problem(|status| status.serving_certificate.ca_expires = Some(at(1))),
            "the CA of the serving certificate expired at 1970-01-01T00:00:01Z"
        );
    }
}
