use super::*;
use crate::installed::testing::installed;

fn interpreted(reason: &str, message: &str) -> (String, String) {
    let installed = installed();
    let commands = Commands { app: "kubectl --context app".to_owned(), ..Commands::default() };
    let place = Place { port: installed.container_port, installed: &installed, commands: &commands };
    let (what, mend) = place.interpret(reason, message);
    (what, mend.unwrap_or_default())
}

/// Messages as kube-apiserver 1.36 writes them.
#[test]
fn what_kube_apiserver_says_is_understood() {
    const FAILED: &str = "failing or missing response from https://10.0.0.7:8443/apis/k8s.starter.org/v1alpha1: ";
    let failed = |why: &str| interpreted("FailedDiscoveryCheck", &format!("{FAILED}{why}"));
    let get = "Get \"https://10.0.0.7:8443/apis/k8s.starter.org/v1alpha1\": ";

    let private = failed(&format!("{get}context deadline exceeded"));
    assert!(private.0.contains("port 8443") && private.0.contains("firewall"), "{private:?}");
    assert!(private.1.ends_with("--set hostNetwork=true"), "{private:?}");
    assert_eq!(failed(&format!("{get}dial tcp 10.0.0.7:8443: i/o timeout")), private);

    let refused = failed(&format!("{get}dial tcp 10.0.0.7:8443: connect: connection refused"));
    assert_eq!(refused.0, "nobody listens on port 8443 of the Pods");
    assert_eq!(refused.1, "kubectl --context app -n kube-system logs deployment/connector");

    let certificate =
        failed(&format!("{get}tls: failed to verify certificate: x509: certificate has expired or is not yet valid"));
    assert!(certificate.0.ends_with("trust the serving certificate: tls: failed to verify certificate: x509: certificate has expired or is not yet valid"), "{certificate:?}");
    assert!(certificate.1.ends_with("rollout restart deployment connector"), "{certificate:?}");

    let stranger = failed("bad status from https://10.0.0.7:8443/apis/k8s.starter.org/v1alpha1: 401");
    assert!(stranger.0.contains("requestheader CA"), "{stranger:?}");

    let gone = interpreted("ServiceNotFound", "service/connector in \"kube-system\" is not present");
    assert_eq!(gone.0, "Service kube-system/connector does not exist");
    assert!(
        gone.1.starts_with("kubectl connector install CONTROL-PLANE claims -n kube-system --release connector"),
        "{gone:?}"
    );
    let empty = interpreted(
        "MissingEndpoints",
        "endpoints for service/connector in \"kube-system\" have no addresses with port name \"https\"",
    );
    assert!(empty.0.contains("no Pod behind Service"), "{empty:?}");
    let other = interpreted("Other", "words");
    assert_eq!(other.0, "Other: words", "what is not known is told as it is");
}
