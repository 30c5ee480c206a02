//! Random sequences of operations, compared after every step.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::case::{Both, CLAIM, Difference, Kind, WIDGET, XR};
use crate::exchange::{APPLY_PATCH, JSON, JSON_PATCH, MERGE_PATCH, PARTIAL, Request, TABLE};
use crate::world::World;

/// The steps of one sequence.
const STEPS: usize = 25;
const NAMES: [&str; 3] = ["a", "b", "c"];
const MANAGERS: [&str; 3] = ["first", "second", "third"];

/// Runs as many sequences as `DIFFERENTIAL_SEQUENCES` says.
pub(crate) async fn run(world: &World, filter: &str) -> Result<Vec<Difference>> {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().context(value)).transpose();
    let count = match number("DIFFERENTIAL_SEQUENCES")? {
        Some(count) => count,
        None if filter.is_empty() => 30,
        None => 0,
    };
    // The same sequences each time, unless others are asked for: a run that finds something can be repeated.
    let seed = number("DIFFERENTIAL_SEED")?.unwrap_or(1);
    crate::tell(&format!("{count} sequences of {STEPS} steps; repeat with DIFFERENTIAL_SEED={seed}"));
    let mut found = Vec::new();
    for at in 0..count {
        found.extend(one(world, seed + at, at).await?);
    }
    Ok(found)
}

/// One sequence; it ends with its first difference, since what follows would only repeat it.
async fn one(world: &World, seed: u64, at: u64) -> Result<Option<Difference>> {
    let mut random = Random(seed);
    let mut both = Both::new(&world.native_clients, &world.app_clients, &format!("s{at}"));
    crate::make_namespaces(&mut both).await?;
    let kind = *random.of(&[CLAIM, XR, WIDGET]);
    let mut told = Vec::new();
    let mut found = None;
    for step in 0..STEPS {
        let request = random.request(kind);
        told.push(request.told());
        let object = request.path.split('?').next().unwrap_or_default().to_owned();
        let place = format!("random {}: seed {seed} step {step}", kind.label);
        found = both.ask(place.clone(), &request).await;
        if found.is_none() && request.method != "GET" && request.method != "POST" {
            found = both.ask(format!("{place}, read"), &Request::new("GET", object)).await;
        }
        if let Some(difference) = &mut found {
            let before = told.iter().map(|told| format!("before: {told}"));
            difference.told.extend(before.take(told.len() - 1));
            break;
        }
    }
    for namespace in ["$ns", "$other"] {
        for name in NAMES {
            let path = format!("{}/{name}", kind.all_in(namespace));
            let release = Request::new("PATCH", path).body(MERGE_PATCH, r#"{"metadata":{"finalizers":null}}"#);
            futures::future::join(both.native.ask(&release), both.through.ask(&release)).await;
        }
    }
    crate::clear(&mut both).await;
    Ok(found)
}

/// Sebastiano Vigna's splitmix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn request(&mut self, kind: Kind) -> Request {
        let name = *self.of(&NAMES);
        let all = kind.all_in(if self.one_in(4) { "$other" } else { "$ns" });
        let one = format!("{all}/{name}");
        let manager = *self.of(&MANAGERS);
        let request = match self.below(20) {
            0..4 => Request::new("POST", all + self.query()).body(JSON, self.object(kind, name, None)),
            4..7 => Request::new("PUT", one).body(JSON, self.object(kind, name, Some(name))),
            7..11 => Request::new("PATCH", one + self.query()).body(MERGE_PATCH, self.merge_patch(kind)),
            11..13 => Request::new("PATCH", one).body(JSON_PATCH, self.json_patch(kind)),
            13..17 => {
                let force = if self.one_in(2) { "&force=true" } else { "" };
                let body = self.applied(kind, name);
                return Request::new("PATCH", format!("{one}?fieldManager={manager}{force}")).body(APPLY_PATCH, body);
            }
            17 => {
                let options = *self.of(&["", "{}", r#"{"propagationPolicy":"Background"}"#, r#"{"dryRun":["All"]}"#]);
                Request::new("DELETE", one).body(JSON, options)
            }
            18 => {
                let selector =
                    *self.of(&["", "?labelSelector=l%3D1", "?labelSelector=m", "?fieldSelector=metadata.name!%3Da"]);
                if self.one_in(4) {
                    Request::new("DELETE", all + selector)
                } else {
                    let accept = *self.of(&[JSON, TABLE]);
                    Request::new("GET", all + selector).accept(accept)
                }
            }
            _ => {
                let accept = *self.of(&[JSON, TABLE, PARTIAL]);
                Request::new("GET", one).accept(accept)
            }
        };
        // Which of several managers owns an owner reference is a known difference.
        let manager = if request.body.contains("ownerReferences") { "owner" } else { manager };
        let path = match manager {
            "owner" => request.path.replace("?fieldManager=named", ""),
            _ => request.path.clone(),
        };
        Request { path, ..request }.header("user-agent", format!("{manager}/1.0"))
    }

    fn query(&mut self) -> &'static str {
        const ALL: [&str; 6] = ["", "", "", "?dryRun=All", "?fieldValidation=Strict", "?fieldManager=named"];
        ALL[self.below(ALL.len())]
    }

    fn map(&mut self) -> Value {
        let mut map = json!({});
        for key in ["l", "m", "example.org/k"] {
            if self.one_in(2) {
                map[key] = json!(self.of(&["1", "2", ""]));
            }
        }
        map
    }

    fn owners(&mut self) -> Value {
        let owner = |uid: usize| json!({"apiVersion": "owners.example.org/v1", "kind": "Owner", "name": "o", "uid": format!("u-{uid}")});
        json!((0..self.below(3)).map(owner).collect::<Vec<_>>())
    }

    fn metadata(&mut self, name: &str) -> Value {
        let mut metadata = json!({"name": name});
        if self.one_in(2) {
            metadata["labels"] = self.map();
        }
        if self.one_in(3) {
            metadata["annotations"] = self.map();
        }
        metadata
    }

    fn spec(&mut self, kind: Kind) -> Value {
        let mut spec: Value = serde_json::from_str(kind.spec).unwrap_or_default();
        for ((parent, member), value) in
            [(kind.text, json!(self.of(&["one", "two"]))), (kind.number, json!(self.below(3) + 1))]
        {
            let parent = parent.trim_start_matches("/spec");
            if let Some(parent) = spec.pointer_mut(parent) {
                parent[member] = value;
            }
        }
        spec
    }

    /// A whole object; `at` is the object whose version it is tied to, mostly.
    fn object(&mut self, kind: Kind, name: &str, at: Option<&str>) -> Value {
        let mut metadata = self.metadata(name);
        if self.one_in(5) {
            metadata["ownerReferences"] = self.owners();
        }
        if self.one_in(8) {
            metadata["finalizers"] = json!(["example.org/f"]);
        }
        if let Some(at) = at.filter(|_| !self.one_in(6)) {
            metadata["resourceVersion"] = json!(format!("$rv({at})"));
        }
        let spec = self.spec(kind);
        json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": metadata, "spec": spec})
    }

    fn applied(&mut self, kind: Kind, name: &str) -> Value {
        // An empty map is owned for itself, which is a known difference.
        let mut metadata = self.metadata(name);
        for map in ["labels", "annotations"] {
            if metadata[map] == json!({}) {
                metadata[map] = json!({"l": "1"});
            }
        }
        metadata.as_object_mut().into_iter().for_each(|metadata| metadata.retain(|_, value| !value.is_null()));
        let mut object = json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": metadata});
        // To apply nothing is a known difference, too.
        if object["metadata"]["labels"].is_null() || !self.one_in(3) {
            object["spec"] = self.spec(kind);
        }
        object
    }

    fn merge_patch(&mut self, kind: Kind) -> Value {
        let mut metadata = json!({});
        for map in ["labels", "annotations"] {
            match self.below(6) {
                0 => metadata[map] = Value::Null,
                1 => metadata[map] = json!({"l": null, "m": "3"}),
                2 | 3 => metadata[map] = self.map(),
                _ => {}
            }
        }
        if self.one_in(6) {
            metadata["ownerReferences"] = self.owners();
        }
        if self.one_in(8) {
            metadata["finalizers"] = self.of(&[json!(["example.org/f"]), Value::Null]).clone();
        }
        let mut patch = json!({"metadata": metadata});
        if self.one_in(2) {
            patch["spec"] = self.spec(kind);
        }
        patch
    }

    fn json_patch(&mut self, kind: Kind) -> Value {
        let path = |(parent, member): (&str, &str)| format!("{parent}/{member}");
        let mut operations = Vec::new();
        for _ in 0..=self.below(3) {
            operations.push(match self.below(9) {
                0 => json!({"op": "replace", "path": path(kind.text), "value": "three"}),
                1 => json!({"op": "test", "path": path(kind.number), "value": self.below(3) + 1}),
                2 => json!({"op": "add", "path": "/metadata/labels", "value": self.map()}),
                3 => json!({"op": "add", "path": "/metadata/labels/l", "value": "4"}),
                4 => json!({"op": "remove", "path": "/metadata/labels/l"}),
                5 => json!({"op": "remove", "path": "/metadata/labels"}),
                6 => json!({"op": "add", "path": "/metadata/annotations", "value": self.map()}),
                7 => json!({"op": "add", "path": "/metadata/ownerReferences", "value": self.owners()}),
                _ => json!({"op": "test", "path": "/metadata/name", "value": self.of(&NAMES)}),
            });
        }
        json!(operations)
    }
}
