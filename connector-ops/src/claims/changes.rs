//! Claims as they change.

use std::collections::{HashMap, HashSet};

use connector_core::offer::Offered;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_objects};
use kube::{Client, ResourceExt};

use super::stored::Stored;
use super::{Claim, ClaimsError, PAGE, Selection, Unread, offered, resource};

/// What happens to claims.
#[derive(Clone, Debug)]
pub enum Change {
    /// All that there are, in [`Claim::order`]: once, at the beginning.
    Listed(Vec<Claim>),
    /// One was created or changed.
    Changed(Claim),
    /// One is gone; as it was last.
    Deleted(Claim),
    /// A kind cannot be watched for now; it is tried again. Said once until it works.
    Unread(Unread),
}

/// Follows claims of the kinds that the control plane offers now, for ever. A watch that breaks is begun anew, and what changed in
/// between is told.
///
/// # Errors
/// See [`ClaimsError`].
///
/// # Cancel safety
/// Dropping the stream ends the watches; nothing is lost but them.
pub async fn watch(
    control_plane: &Client,
    selection: &Selection,
) -> Result<impl Stream<Item = Change> + use<>, ClaimsError> {
    let kinds = offered(control_plane).await?;
    let config = watcher::Config::default().labels(&selection.labels()).page_size(PAGE);
    let streams: Vec<BoxStream<'static, _>> = kinds
        .iter()
        .enumerate()
        .map(|(kind, offered)| {
            let events = watch_objects(selection.api(control_plane, offered), config.clone()).default_backoff();
            events.map(move |event| (kind, event)).boxed()
        })
        .collect();
    let kinds: Vec<Kind> = kinds.into_iter().map(Kind::new).collect();
    let followed = Followed { beginning: kinds.len(), kinds };
    // With no kind there is nothing to wait for.
    let nothing = followed.kinds.is_empty().then(|| Change::Listed(Vec::new()));
    let changes = stream::select_all(streams).scan(followed, |followed, (kind, event)| {
        let changes = followed.take(kind, event);
        futures::future::ready(Some(stream::iter(changes)))
    });
    Ok(stream::iter(nothing).chain(changes.flatten()))
}

struct Followed {
    kinds: Vec<Kind>,
    /// How many kinds have not been listed yet; nothing but trouble is told until then.
    beginning: usize,
}

struct Kind {
    offered: Offered,
    /// By namespace and name in the control plane, with the version that was seen.
    known: HashMap<(String, String), (Option<String>, Claim)>,
    /// What a new list did not show so far.
    unseen: HashSet<(String, String)>,
    listed: bool,
    in_trouble: bool,
}

impl Kind {
    fn new(offered: Offered) -> Self {
        Self { offered, known: HashMap::new(), unseen: HashSet::new(), listed: false, in_trouble: false }
    }

    /// Takes an object in; the change, if it is one.
    fn see(&mut self, object: &Stored) -> Option<Change> {
        let key = (object.namespace().unwrap_or_default(), object.name_any());
        self.unseen.remove(&key);
        let claim = object.claim(&self.offered)?;
        let version = object.resource_version();
        let former = self.known.insert(key, (version.clone(), claim.clone()));
        let same = former.is_some_and(|(former, _)| former == version);
        (!same).then_some(Change::Changed(claim))
    }

    fn lose(&mut self, key: &(String, String)) -> Option<Change> {
        self.known.remove(key).map(|(_, claim)| Change::Deleted(claim))
    }
}

impl Followed {
    fn take(&mut self, kind: usize, event: Result<Event<Stored>, watcher::Error>) -> Vec<Change> {
        let kind = &mut self.kinds[kind];
        let mut changes: Vec<Change> = Vec::new();
        let mut listed_now = false;
        match event {
            Ok(Event::Init) => kind.unseen = kind.known.keys().cloned().collect(),
            Ok(Event::InitApply(object)) | Ok(Event::Apply(object)) => {
                kind.in_trouble = false;
                changes.extend(kind.see(&object));
            }
            Ok(Event::InitDone) => {
                kind.in_trouble = false;
                let unseen = std::mem::take(&mut kind.unseen);
                changes.extend(unseen.iter().filter_map(|key| kind.lose(key)));
                listed_now = !std::mem::replace(&mut kind.listed, true);
            }
            Ok(Event::Delete(object)) => {
                let key = (object.namespace().unwrap_or_default(), object.name_any());
                // As it was last: the end of the watch brings its last state.
                let last = object.claim(&kind.offered).map(Change::Deleted);
                changes.extend(kind.lose(&key).map(|known| last.unwrap_or(known)));
            }
            // The place in the stream is too old: it is begun anew.
            Err(watcher::Error::WatchError(status)) if status.code == 410 => {}
            Err(error) => {
                // One that may not be read does not keep the others back.
                listed_now = !std::mem::replace(&mut kind.listed, true);
                if !std::mem::replace(&mut kind.in_trouble, true) {
                    let (resource, (message, forbidden)) = (resource(&kind.offered), said(&error));
                    let trouble = Change::Unread(Unread { resource, message, forbidden });
                    return self.begin(listed_now).into_iter().fold(vec![trouble], |mut all, change| {
                        all.push(change);
                        all
                    });
                }
            }
        }
        let beginning = self.beginning > 0;
        match self.begin(listed_now) {
            Some(all) => vec![all],
            None if beginning => Vec::new(),
            None => changes,
        }
    }

    /// All claims, when the last kind was listed for the first time.
    fn begin(&mut self, listed_now: bool) -> Option<Change> {
        if !listed_now {
            return None;
        }
        self.beginning -= 1;
        if self.beginning > 0 {
            return None;
        }
        let known = self.kinds.iter().flat_map(|kind| kind.known.values());
        let mut all: Vec<Claim> = known.map(|(_, claim)| claim.clone()).collect();
        all.sort_by(Claim::order);
        Some(Change::Listed(all))
    }
}

/// What the control plane said, without the library's words around it, and whether it forbids to ask.
fn said(error: &watcher::Error) -> (String, bool) {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut last = error.to_string();
    while let Some(error) = source {
        if let Some(kube::Error::Api(status)) = error.downcast_ref() {
            return (status.message.clone(), status.code == 403);
        }
        last = error.to_string();
        source = error.source();
    }
    (last, false)
}

#[cfg(test)]
mod tests {
    use connector_core::origin::{Form, Hashed};
    use serde_json::{Value, json};

    use super::*;

    fn followed(kinds: usize) -> Followed {
        let offered = |at: usize| Offered {
            group: "g.example.org".to_owned(),
            plural: format!("k{at}s"),
            singular: format!("k{at}"),
            kind: format!("K{at}"),
            list_kind: format!("K{at}List"),
            form: Form::Claim,
            versions: vec!["v1".to_owned()],
        };
        Followed { beginning: kinds, kinds: (0..kinds).map(|at| Kind::new(offered(at))).collect() }
    }

    fn object(name: &str, version: &str) -> Stored {
        let scheme = Hashed { cluster: "c".parse().unwrap(), claim_namespace: "claims".to_owned() };
        let labels: Value = scheme.labels("team", name).iter().map(|(key, value)| (*key, value.as_ref())).collect();
        let metadata = json!({"name": format!("claim-{name}"), "namespace": "claims", "labels": labels,
                              "resourceVersion": version});
        serde_json::from_value(json!({"metadata": metadata})).unwrap()
    }

    fn told(changes: Vec<Change>) -> Vec<String> {
        let tell = |change| match change {
            Change::Listed(claims) => {
                format!("listed {}", claims.into_iter().map(|claim| claim.name).collect::<Vec<_>>().join(","))
            }
            Change::Changed(claim) => format!("changed {}", claim.name),
            Change::Deleted(claim) => format!("deleted {}", claim.name),
            Change::Unread(unread) => format!("unread {}", unread.resource),
        };
        changes.into_iter().map(tell).collect()
    }

    #[test]
    fn all_kinds_are_listed_together_and_first() {
        let mut all = followed(2);
        let mut take = |kind, event| told(all.take(kind, Ok(event)));
        assert!(take(0, Event::Init).is_empty());
        assert!(take(0, Event::InitApply(object("b", "1"))).is_empty());
        assert!(take(0, Event::InitDone).is_empty());
        // The first kind goes on while the second is still listed.
        assert!(take(0, Event::Apply(object("a", "2"))).is_empty());
        assert!(take(1, Event::Init).is_empty());
        assert!(take(1, Event::InitApply(object("c", "1"))).is_empty());
        assert_eq!(take(1, Event::InitDone), ["listed a,b,c"]);
        assert_eq!(take(1, Event::Apply(object("c", "3"))), ["changed c"]);
        assert_eq!(take(1, Event::Delete(object("c", "4"))), ["deleted c"]);
    }

    /// A watch that broke is begun with a new list: only what happened in between is news.
    #[test]
    fn a_new_list_tells_what_changed_meanwhile() {
        let mut all = followed(1);
        let mut take = |event| told(all.take(0, event));
        for name in ["same", "other", "gone"] {
            take(Ok(Event::InitApply(object(name, "1"))));
        }
        assert_eq!(take(Ok(Event::InitDone)), ["listed gone,other,same"]);
        assert_eq!(take(Err(watcher::Error::NoResourceVersion)), ["unread k0s.g.example.org"]);
        assert!(take(Err(watcher::Error::NoResourceVersion)).is_empty(), "said once");
        assert!(take(Ok(Event::Init)).is_empty());
        assert!(take(Ok(Event::InitApply(object("same", "1")))).is_empty());
        assert_eq!(take(Ok(Event::InitApply(object("other", "2")))), ["changed other"]);
        assert_eq!(take(Ok(Event::InitApply(object("new", "3")))), ["changed new"]);
        assert_eq!(take(Ok(Event::InitDone)), ["deleted gone"]);
    }

    /// A kind that may not be listed does not keep the others back.
    #[test]
    fn trouble_is_told_and_the_rest_listed() {
        let mut all = followed(2);
        assert!(told(all.take(0, Ok(Event::InitApply(object("a", "1"))))).is_empty());
        assert!(told(all.take(0, Ok(Event::InitDone))).is_empty());
        let trouble = told(all.take(1, Err(watcher::Error::NoResourceVersion)));
        assert_eq!(trouble, ["unread k1s.g.example.org", "listed a"]);
    }
}
