//! An app cluster in memory that keeps events and nothing else.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};

#[derive(Default)]
pub(super) struct Stand {
    /// By path.
    events: Mutex<BTreeMap<String, Value>>,
    /// What every write is answered with instead of being done.
    refusal: Mutex<Option<(u16, String)>>,
}

impl Stand {
    pub(super) fn client(self: &Arc<Self>) -> kube::Client {
        let stand = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let stand = stand.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                let (status, answer) = stand.answer(&parts.method, parts.uri.path(), &body);
                let mut response = Response::new(Body::from(answer.to_string().into_bytes()));
                *response.status_mut() = status;
                Ok::<_, Infallible>(response)
            }
        });
        kube::Client::new(service, "default")
    }

    pub(super) fn events(&self) -> Vec<Value> {
        lock(&self.events).values().cloned().collect()
    }

    pub(super) fn change(&self, change: impl Fn(&mut Value)) {
        lock(&self.events).values_mut().for_each(change);
    }

    /// Refuses every write from now on.
    pub(super) fn refuse(&self, code: u16, message: &str) {
        *lock(&self.refusal) = Some((code, message.to_owned()));
    }

    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> (StatusCode, Value) {
        let mut events = lock(&self.events);
        if *method != Method::GET
            && let Some((code, message)) = &*lock(&self.refusal)
        {
            return refused(*code, message);
        }
        let sent = serde_json::from_slice::<Value>(body).unwrap_or_default();
        match *method {
            Method::POST => {
                let path = format!("{path}/{}", sent["metadata"]["name"].as_str().unwrap_or_default());
                if events.contains_key(&path) {
                    return refused(409, "it is there");
                }
                events.insert(path, sent.clone());
                (StatusCode::CREATED, sent)
            }
            Method::PATCH => {
                let Some(event) = events.get_mut(path) else { return refused(404, "it is not there") };
                for (key, value) in sent.as_object().into_iter().flatten() {
                    event[key] = value.clone();
                }
                (StatusCode::OK, event.clone())
            }
            _ if path.ends_with("/events") => {
                let items: Vec<&Value> = events.values().collect();
                (StatusCode::OK, json!({ "apiVersion": "v1", "kind": "EventList", "metadata": {}, "items": items }))
            }
            _ => events
                .get(path)
                .map_or_else(|| refused(404, "it is not there"), |event| (StatusCode::OK, event.clone())),
        }
    }
}

fn refused(code: u16, message: &str) -> (StatusCode, Value) {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "AlreadyExists",
        _ => "InternalError",
    };
    let status = json!({ "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message });
    (StatusCode::from_u16(code).unwrap(), status)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
