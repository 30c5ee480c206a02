//! Objects and their history, in memory.
//!
//! One counter numbers every change of every resource; it is the `resourceVersion`. Each resource keeps its last changes,
//! so that watches resume and paged lists go on from the state they began with; what fell out of the history is *expired*.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use super::object;

/// How many changes of one resource are kept. Real servers keep between 100 and some 100 000, by load.
const HISTORY: usize = 4096;

/// A stored object with its JSON, which is written once however many read it.
#[derive(Debug)]
pub(crate) struct Object {
    value: Value,
    json: OnceLock<Bytes>,
}

/// An object as readers share it.
pub(crate) type Shared = Arc<Object>;

impl Object {
    pub(crate) fn new(value: Value) -> Shared {
        Arc::new(Self { value, json: OnceLock::new() })
    }

    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    /// Compact JSON, members sorted, as servers of custom resources write it.
    pub(crate) fn json(&self) -> &Bytes {
        self.json.get_or_init(|| object::to_json(&self.value).into())
    }

    pub(crate) fn key(&self) -> Key {
        Key::new(object::namespace(&self.value), object::name(&self.value))
    }
}

/// What is stored under one plural name, in all its versions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) plural: String,
}

impl Resource {
    pub(crate) fn new(group: &str, plural: &str) -> Self {
        Self { group: group.to_owned(), plural: plural.to_owned() }
    }
}

/// Where an object is among those of its resource; the namespace is empty for cluster-scoped ones.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// One change of one object.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) key: Key,
    /// The state before, `None` for a creation.
    pub(crate) before: Option<Shared>,
    /// The state after; for a deletion the last state, under the revision of the deletion.
    pub(crate) object: Shared,
    pub(crate) deleted: bool,
}

/// The history does not reach back to the revision asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expired;

/// What a writer decides about an object, given its present state.
pub(crate) enum Decision {
    Keep,
    Put(Value),
    Remove,
}

/// What came of a [`Decision`].
pub(crate) enum Outcome {
    /// The object as it is now stored.
    Stored(Shared),
    /// The last state of the object, which is gone.
    Removed(Shared),
    /// There was nothing, and nothing was done.
    Absent,
}

/// The objects of one resource at one revision.
pub(crate) struct Snapshot {
    pub(crate) revision: u64,
    pub(crate) objects: Vec<Shared>,
}

#[derive(Default)]
struct Shelf {
    objects: BTreeMap<Key, Shared>,
    /// Invariant: ascending revisions, all above `floor`.
    history: VecDeque<Arc<Change>>,
    /// The highest revision whose change has fallen out of the history.
    floor: u64,
    bell: Option<watch::Sender<u64>>,
}

struct Inner {
    revision: u64,
    shelves: HashMap<Resource, Shelf>,
}

/// All objects of one cluster.
pub(crate) struct Store {
    inner: Mutex<Inner>,
    any: watch::Sender<u64>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self { inner: Mutex::new(Inner { revision: 1, shelves: HashMap::new() }), any: watch::channel(1).0 }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A writer that panicked has not touched the maps: every change below is made after the last fallible step.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The revision of the last change of anything.
    pub(crate) fn revision(&self) -> u64 {
        self.lock().revision
    }

    pub(crate) fn get(&self, resource: &Resource, key: &Key) -> Option<Shared> {
        self.lock().shelves.get(resource)?.objects.get(key).cloned()
    }

    /// All objects of a resource, or of one of its namespaces, sorted by namespace and name; as they were `at` a revision.
    pub(crate) fn list(&self, resource: &Resource, namespace: &str, at: Option<u64>) -> Result<Snapshot, Expired> {
        let inner = self.lock();
        let revision = at.unwrap_or(inner.revision);
        let Some(shelf) = inner.shelves.get(resource) else { return Ok(Snapshot { revision, objects: Vec::new() }) };
        let inside = |key: &Key| namespace.is_empty() || key.namespace == namespace;
        if shelf.history.back().is_none_or(|last| last.revision <= revision) && shelf.floor <= revision {
            let objects = shelf.objects.iter().filter(|(key, _)| inside(key)).map(|(_, o)| o.clone()).collect();
            return Ok(Snapshot { revision, objects });
        }
        if revision < shelf.floor {
            return Err(Expired);
        }
        let mut past = shelf.objects.clone();
        for change in shelf.history.iter().rev().take_while(|change| change.revision > revision) {
            match &change.before {
                Some(before) => past.insert(change.key.clone(), before.clone()),
                None => past.remove(&change.key),
            };
        }
        Ok(Snapshot { revision, objects: past.into_iter().filter(|(key, _)| inside(key)).map(|(_, o)| o).collect() })
    }

    /// The resources that hold an object.
    pub(crate) fn resources(&self) -> Vec<Resource> {
        let inner = self.lock();
        inner.shelves.iter().filter(|(_, shelf)| !shelf.objects.is_empty()).map(|(r, _)| r.clone()).collect()
    }

    /// Decides about one object and does it, at once. `decide` must not come back to this store.
    pub(crate) fn change<E>(
        &self,
        resource: &Resource,
        key: &Key,
        decide: impl FnOnce(Option<&Shared>) -> Result<Decision, E>,
    ) -> Result<Outcome, E> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        if !inner.shelves.contains_key(resource) {
            inner.shelves.insert(resource.clone(), Shelf::default());
        }
        let shelf = inner.shelves.get_mut(resource).expect("the shelf was put there above");
        let before = shelf.objects.get(key).cloned();
        let decision = decide(before.as_ref())?;
        let (mut value, deleted) = match (decision, &before) {
            (Decision::Put(value), _) => (value, false),
            (Decision::Remove, Some(before)) => (before.value.clone(), true),
            (Decision::Keep, Some(before)) => return Ok(Outcome::Stored(before.clone())),
            (Decision::Keep | Decision::Remove, None) => return Ok(Outcome::Absent),
        };
        inner.revision += 1;
        let revision = inner.revision;
        object::metadata_mut(&mut value).insert("resourceVersion".into(), revision.to_string().into());
        let object = Object::new(value);
        if deleted {
            shelf.objects.remove(key);
        } else {
            shelf.objects.insert(key.clone(), object.clone());
        }
        let change = Change { revision, key: key.clone(), before, object: object.clone(), deleted };
        shelf.history.push_back(Arc::new(change));
        if shelf.history.len() > HISTORY
            && let Some(oldest) = shelf.history.pop_front()
        {
            shelf.floor = oldest.revision;
        }
        if let Some(bell) = &shelf.bell {
            bell.send_replace(revision);
        }
        self.any.send_replace(revision);
        Ok(if deleted { Outcome::Removed(object) } else { Outcome::Stored(object) })
    }

    /// The changes of a resource after a revision, and the revision up to which they are complete.
    pub(crate) fn since(&self, resource: &Resource, revision: u64) -> Result<(Vec<Arc<Change>>, u64), Expired> {
        let inner = self.lock();
        let Some(shelf) = inner.shelves.get(resource) else { return Ok((Vec::new(), inner.revision)) };
        if revision < shelf.floor {
            return Err(Expired);
        }
        let start = shelf.history.partition_point(|change| change.revision <= revision);
        Ok((shelf.history.range(start..).cloned().collect(), inner.revision))
    }

    /// Rings at each change of anything.
    pub(crate) fn any(&self) -> watch::Receiver<u64> {
        self.any.subscribe()
    }

    /// Rings at each change of a resource.
    pub(crate) fn bell(&self, resource: &Resource) -> watch::Receiver<u64> {
        let mut inner = self.lock();
        let shelf = inner.shelves.entry(resource.clone()).or_default();
        shelf.bell.get_or_insert_with(|| watch::channel(0).0).subscribe()
    }

    /// Forgets the history of a resource, as a compaction does: every earlier revision is expired.
    pub(crate) fn compact(&self, resource: &Resource) {
        let mut inner = self.lock();
        let revision = inner.revision;
        if let Some(shelf) = inner.shelves.get_mut(resource) {
            shelf.history.clear();
            shelf.floor = revision;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn put(store: &Store, name: &str, value: u64) -> u64 {
        let object = json!({"metadata": {"name": name}, "v": value});
        let outcome = store.change(&things(), &Key::new("", name), |_| Ok::<_, ()>(Decision::Put(object)));
        assert!(matches!(outcome, Ok(Outcome::Stored(_))));
        store.revision()
    }

    fn things() -> Resource {
        Resource::new("example.org", "things")
    }

    #[test]
    fn a_list_can_be_had_as_it_was() {
        let store = Store::new();
        let first = put(&store, "a", 1);
        put(&store, "b", 1);
        let gone = store.change(&things(), &Key::new("", "a"), |_| Ok::<_, ()>(Decision::Remove));
        assert!(matches!(gone, Ok(Outcome::Removed(_))));
        let then = store.list(&things(), "", Some(first)).unwrap();
        assert_eq!(then.objects.iter().map(|o| object::name(o.value())).collect::<Vec<_>>(), ["a"]);
        let now = store.list(&things(), "", None).unwrap();
        assert_eq!(now.objects.iter().map(|o| object::name(o.value())).collect::<Vec<_>>(), ["b"]);
        assert_eq!(store.since(&things(), first).unwrap().0.len(), 2);
    }

    #[test]
    fn what_fell_out_of_the_history_is_expired() {
        let store = Store::new();
        let first = put(&store, "a", 0);
        for i in 0..HISTORY as u64 {
            put(&store, "a", i);
        }
        assert!(store.since(&things(), first).is_ok());
        assert_eq!(store.since(&things(), first - 1).err(), Some(Expired));
        let last = put(&store, "a", 1);
        assert_eq!(store.list(&things(), "", Some(first)).err(), Some(Expired));
        store.compact(&things());
        assert_eq!(store.since(&things(), last - 1).err(), Some(Expired));
        assert!(store.since(&things(), last).is_ok());
    }
}
