//! Whether the clocks agree: certificates and tokens are good by the clock of who looks at them.

use std::time::{Duration, SystemTime};

use kube::Client;
use kube::client::Body;

use super::Finding;
use crate::ask::ask;

const CHECK: &str = "clock";
/// How far clocks may be apart before it is told. A `Date` header has seconds, and an answer takes some.
const TOLERATED: i64 = 10;
/// From where tokens and certificates are refused that are good: what Kubernetes and JWT libraries allow for is less.
const HARMFUL: i64 = 120;

/// Compares the clocks of both clusters with each other, and with the one here.
pub(super) async fn look(app: &Client, control_plane: &Client) -> Vec<Finding> {
    let (app, control_plane) = futures::join!(ahead(app), ahead(control_plane));
    judge(app, control_plane)
}

/// How many seconds a cluster's clock is ahead of the one here; `None` where it does not tell.
async fn ahead(cluster: &Client) -> Option<i64> {
    let request = http::Request::get("/version").body(Body::empty()).ok()?;
    let sent = SystemTime::now();
    let answer = ask(cluster.send(request)).await.ok()?;
    let took = sent.elapsed().unwrap_or_default();
    let date = httpdate::parse_http_date(answer.headers().get(http::header::DATE)?.to_str().ok()?).ok()?;
    Some(difference(date, sent, took))
}

/// The header has whole seconds, cut off, and was written at some moment while the answer took.
fn difference(date: SystemTime, sent: SystemTime, took: Duration) -> i64 {
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    match date.duration_since(sent + took) {
        Ok(ahead) => seconds(ahead),
        Err(_) => match sent.duration_since(date + Duration::from_secs(1)) {
            Ok(behind) => -seconds(behind),
            Err(_) => 0,
        },
    }
}

fn judge(app: Option<i64>, control_plane: Option<i64>) -> Vec<Finding> {
    let apart = |seconds: i64| seconds.abs();
    match (app, control_plane) {
        (Some(app), Some(control_plane)) => {
            let between = app - control_plane;
            let what = format!(
                "the app cluster's clock is {} s {} the control plane's",
                apart(between),
                if between > 0 { "ahead of" } else { "behind" }
            );
            if apart(between) > HARMFUL {
                let what = format!("{what}: tokens and certificates may be refused that are good");
                return vec![
                    Finding::error(CHECK, what).mend("timedatectl set-ntp true  # on the nodes whose clock is wrong"),
                ];
            }
            if apart(between) > TOLERATED {
                return vec![
                    Finding::warning(CHECK, what).mend("timedatectl set-ntp true  # on the nodes whose clock is wrong"),
                ];
            }
            // Both agree; then it is the one here.
            if apart(app) > TOLERATED && apart(control_plane) > TOLERATED {
                let what = format!("the clocks of both clusters agree; the one here differs by {} s", apart(app));
                return vec![Finding::warning(CHECK, what).mend("timedatectl set-ntp true  # here")];
            }
            vec![Finding::ok(CHECK, "the clocks of both clusters agree")]
        }
        _ => vec![Finding::warning(CHECK, "the clusters do not tell their time")],
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_header_has_whole_seconds() {
        let at = |millis: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        let took = Duration::from_millis(300);
        assert_eq!(difference(at(100_000), at(100_900), took), 0, "cut off");
        assert_eq!(difference(at(101_000), at(100_900), took), 0, "written while it took");
        assert_eq!(difference(at(105_000), at(100_000), took), 4);
        assert_eq!(difference(at(90_000), at(100_000), took), -9);
    }

    #[test]
    fn clocks_are_judged_against_each_other() {
        let level = |app, control_plane| judge(app, control_plane)[0].level;
        assert_eq!(level(Some(0), Some(1)), Level::Ok);
        assert_eq!(level(Some(0), Some(60)), Level::Warning);
        assert_eq!(level(Some(-600), Some(0)), Level::Error);
        assert_eq!(level(None, Some(0)), Level::Warning);
        let here = judge(Some(3600), Some(3601));
        assert_eq!((here[0].level, here[0].what.contains("the one here")), (Level::Warning, true));
        assert!(judge(Some(200), Some(0))[0].what.contains("200 s ahead of"));
    }
}
