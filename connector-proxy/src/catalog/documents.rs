//! Fetching the documents of what is offered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use connector_core::discovery::{Aggregated, Document, SelectError, Selected, select};
use connector_core::offer::{GroupVersion, Offered, Offers};
use connector_core::{discovery, openapi};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use thiserror::Error;
use tokio::sync::watch;
use tracing::warn;

use super::Snapshot;
use super::absence::Absences;
use super::overview::{Discovered, Overview, openapi_etags};
use crate::chain::Chain;
use crate::upstream::{Unreachable, Upstream};

/// The most bytes of one document; the largest known are some ten megabytes.
const MAX_DOCUMENT: usize = 64 << 20;
/// How long one document may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a described API waits for its OpenAPI document before it is registered without.
const OPENAPI_PATIENCE: Duration = Duration::from_secs(15);
/// How long an offered API may be without a description before that is worth a warning.
const DESCRIPTION_PATIENCE: Duration = Duration::from_secs(20);

/// A document was not to be had.
#[derive(Debug, Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    #[error("the control plane answered {0}")]
    Answered(StatusCode),
    #[error("the answer broke off or is larger than {MAX_DOCUMENT} bytes")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Late,
}

/// What is known about each group and version. What was fetched once stays until something better comes.
#[derive(Default)]
pub(super) struct Fetched {
    discovery: BTreeMap<GroupVersion, Selected>,
    openapi: BTreeMap<GroupVersion, OpenApi>,
    /// When each was first described.
    since: BTreeMap<GroupVersion, Instant>,
    absences: Absences,
    overview: Overview,
    /// What is not well, so that it is said once.
    told: BTreeMap<GroupVersion, Told>,
}

struct Told {
    since: Instant,
    loudly: bool,
}

struct OpenApi {
    /// The control plane's own validator of what this was selected from. `None` where something else is to be selected now.
    etag: Option<Bytes>,
    document: Document,
}

impl Fetched {
    /// Forgets what is no longer offered, and that what changed is up to date.
    pub(super) fn retain(&mut self, offers: &Offers, changed: &BTreeSet<GroupVersion>) {
        let wanted = offers.group_versions();
        self.discovery.retain(|gv, _| wanted.contains(gv));
        self.openapi.retain(|gv, _| wanted.contains(gv));
        self.since.retain(|gv, _| wanted.contains(gv));
        self.told.retain(|gv, _| wanted.contains(gv));
        for (_, openapi) in self.openapi.iter_mut().filter(|(gv, _)| changed.contains(*gv)) {
            openapi.etag = None;
        }
    }

    /// Whether anything that is offered can be described, or nothing is offered.
    pub(super) fn describes_any(&self, offers: &Offers) -> bool {
        offers.is_empty() || !self.discovery.is_empty()
    }

    /// Fetches what changed, what is missing, and what the control plane's overviews say to be other than before; `false` where
    /// something is missing then. At rest these are two requests, however many APIs there are.
    pub(super) async fn refresh(
        &mut self,
        upstream: &Upstream,
        offers: &Arc<Offers>,
        changed: &BTreeSet<GroupVersion>,
    ) -> bool {
        let wanted = offers.group_versions();
        if wanted.is_empty() {
            return true;
        }
        let is_missing = |gv: &GroupVersion| {
            self.told.contains_key(gv) || !self.discovery.contains_key(gv) || !self.openapi.contains_key(gv)
        };
        let mut due: BTreeSet<GroupVersion> =
            wanted.iter().filter(|gv| changed.contains(gv) || is_missing(gv)).cloned().collect();
        if changed.is_empty() {
            let etags = openapi_etags(upstream, &wanted).await;
            let is_as_known = |gv: &GroupVersion| {
                let known = self.openapi.get(gv).and_then(|known| known.etag.as_ref());
                known.is_some() && known == etags.get(gv)
            };
            due.extend(wanted.iter().filter(|gv| !is_as_known(gv)).cloned());
        }
        let aggregated = match self.overview.discovery(upstream, !due.is_empty()).await {
            Ok(Discovered::Unchanged) => None,
            Ok(Discovered::Document(raw)) => Some(raw),
            // An older or another server: the legacy documents tell enough.
            Ok(Discovered::Unknown) => {
                due.extend(wanted);
                None
            }
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "cannot fetch the control plane's discovery");
                return false;
            }
        };
        let aggregated = aggregated.as_deref().and_then(|raw| Aggregated::parse(raw).ok());
        if let Some(aggregated) = &aggregated {
            due.extend(self.overview.otherwise_discovered(aggregated, &offers.group_versions()));
        }
        let mut complete = true;
        for gv in due {
            let told = self.refresh_one(upstream, offers, &gv, aggregated.as_ref()).await.err();
            complete &= told.is_none();
            self.tell(gv, told);
        }
        complete
    }

    async fn refresh_one(
        &mut self,
        upstream: &Upstream,
        offers: &Arc<Offers>,
        gv: &GroupVersion,
        aggregated: Option<&Aggregated<'_>>,
    ) -> Result<(), String> {
        let text = |error: &(dyn std::error::Error + 'static)| Chain(error).to_string();
        let path = format!("/apis/{}/{}", gv.group, gv.version);
        let legacy = fetch(upstream, &path, "application/json", None).await;
        let legacy = legacy.as_ref().ok().and_then(Option::as_ref).map(|document| &*document.body);
        let selected = self.select(offers, gv, aggregated, legacy).map_err(|error| text(&error))?;
        self.discovery.insert(gv.clone(), selected);
        self.since.entry(gv.clone()).or_insert_with(Instant::now);

        let etag = self.openapi.get(gv).and_then(|known| known.etag.clone());
        let path = format!("/openapi/v3/apis/{}/{}", gv.group, gv.version);
        let Some(fetched) = fetch(upstream, &path, "application/json", etag).await.map_err(|error| text(&error))?
        else {
            return Ok(());
        };
        let document = openapi::select_v3(&fetched.body, gv, offers).map_err(|error| text(&error))?;
        self.openapi.insert(gv.clone(), OpenApi { etag: fetched.etag, document });
        Ok(())
    }

    /// Selects what is offered, without what has turned out not to be there.
    fn select(
        &mut self,
        offers: &Offers,
        gv: &GroupVersion,
        aggregated: Option<&Aggregated<'_>>,
        legacy: Option<&[u8]>,
    ) -> Result<Selected, SelectError> {
        let mut served = offers.clone();
        loop {
            let error = match select(gv, &served, aggregated, legacy) {
                Ok(selected) => {
                    if served == *offers {
                        self.absences.forget(gv);
                    }
                    return Ok(selected);
                }
                Err(error) => error,
            };
            // Only a document that came says that something is not there.
            let gone = if aggregated.is_some() { self.absences.note(gv, &served, &error) } else { Vec::new() };
            if gone.is_empty() {
                return Err(error);
            }
            served = part(&served, |other, plural| other != gv || !gone.iter().any(|gone| gone == plural));
            if served.in_group_version(&gv.group, &gv.version).next().is_none() {
                self.discovery.remove(gv);
                self.openapi.remove(gv);
                return Err(error);
            }
        }
    }

    fn tell(&mut self, gv: GroupVersion, problem: Option<String>) {
        let Some(problem) = problem else {
            self.told.remove(&gv);
            return;
        };
        let told = self.told.entry(gv.clone()).or_insert_with(|| Told { since: Instant::now(), loudly: false });
        // For a moment after an XRD came or changed this is as it should be.
        if !told.loudly && told.since.elapsed() > DESCRIPTION_PATIENCE {
            told.loudly = true;
            let GroupVersion { group, version } = gv;
            warn!(
                group,
                version,
                problem,
                "the control plane offers an API that it does not describe; what is known of it stays in force for a while"
            );
        }
    }

    /// Publishes what is known now, if that differs from what is in force.
    pub(super) fn publish(&self, offers: &Arc<Offers>, publish: &watch::Sender<Option<Arc<Snapshot>>>) -> bool {
        let there = part(offers, |gv, plural| !self.absences.is_gone(gv, plural));
        let described = part(&there, |gv, _| self.discovery.contains_key(gv));
        let undescribed = part(&there, |gv, _| !self.discovery.contains_key(gv));
        // The front fetches OpenAPI when an API is registered, and then again after a minute only.
        let registrable: Vec<GroupVersion> = described
            .group_versions()
            .into_iter()
            .filter(|gv| {
                self.openapi.contains_key(gv)
                    || self.since.get(gv).is_some_and(|since| since.elapsed() > OPENAPI_PATIENCE)
            })
            .collect();
        let openapi_v3: BTreeMap<GroupVersion, Document> =
            self.openapi.iter().map(|(gv, known)| (gv.clone(), known.document.clone())).collect();
        let discovery = discovery::Documents::new(self.discovery.values());
        let unchanged = publish.borrow().as_ref().is_some_and(|in_force| {
            in_force.offers == described
                && in_force.undescribed == undescribed
                && in_force.registrable == registrable
                && in_force.discovery == discovery
                && in_force.openapi_v3 == openapi_v3
        });
        if unchanged {
            return false;
        }
        let openapi_v2 = openapi::v2_from_v3(&openapi_v3).unwrap_or_else(|error| {
            warn!(error = %Chain(&error), "OpenAPI v2 cannot be derived; it is served without paths");
            openapi::v2_from_v3([]).expect("nothing at all can be written")
        });
        let snapshot = Snapshot {
            offers: described,
            undescribed,
            registrable,
            discovery,
            openapi_v3_root: openapi::root_v3(&openapi_v3),
            openapi_v3,
            openapi_v2,
        };
        publish.send_replace(Some(Arc::new(snapshot)));
        true
    }
}

/// The offers of those resources, by group version and plural, that `keep` says.
fn part(offers: &Offers, keep: impl Fn(&GroupVersion, &str) -> bool) -> Offers {
    let of_one = |offered: &Offered| {
        let mut offered = offered.clone();
        let (group, plural) = (offered.group.clone(), offered.plural.clone());
        offered.versions.retain(|version| keep(&GroupVersion::new(&group, version), &plural));
        offered
    };
    offers.iter().map(of_one).collect()
}

/// A document, and its validator.
pub(super) struct Body200 {
    pub(super) body: Bytes,
    pub(super) etag: Option<Bytes>,
}

/// `None` where the document is what `etag` stands for.
pub(super) async fn fetch(
    upstream: &Upstream,
    path: &str,
    accept: &str,
    etag: Option<Bytes>,
) -> Result<Option<Body200>, FetchError> {
    let mut request = Request::get(path).header(header::ACCEPT, accept);
    if let Some(etag) = etag {
        request = request.header(header::IF_NONE_MATCH, &*etag);
    }
    let request = request.body(Full::default()).map_err(|error| FetchError::Broken(error.into()))?;
    let work = async {
        let answer = upstream.send(request).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED => return Ok(None),
            other => return Err(FetchError::Answered(other)),
        }
        let etag = answer.headers().get(header::ETAG).map(|etag| Bytes::copy_from_slice(etag.as_bytes()));
        let body =
            Limited::new(answer.into_body(), MAX_DOCUMENT).collect().await.map_err(FetchError::Broken)?.to_bytes();
        Ok(Some(Body200 { body, etag }))
    };
    tokio::time::timeout(TIMEOUT, work).await.map_err(|_| FetchError::Late)?
}
