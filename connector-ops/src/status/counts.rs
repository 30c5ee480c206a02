//! The claims, counted as a client would see them.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};

use super::{API_SERVICES, ApiStatus, Reach, Registration, Unread, noted};
use crate::ask::{Unanswered, ask};

/// How many objects are counted with one request; of each only its metadata comes.
const PAGE: u32 = 500;
/// How many kinds are counted at a time.
const AT_ONCE: usize = 4;
/// From when on an answer is slow: the connector answers from memory, or at once that the control plane is away, unless that hangs.
const SLOW: Duration = Duration::from_secs(5);

/// Counts the claims as a client would see them, and tells by that whether the connector reaches the control plane.
pub(super) async fn through_the_connector(
    app: &Client,
    registrations: &[Registration],
    unread: &mut Vec<Unread>,
) -> (Reach, Vec<ApiStatus>, Vec<String>) {
    let available: Vec<&Registration> = registrations.iter().filter(|one| one.is_available()).collect();
    let mut kinds: Vec<ApiStatus> = Vec::new();
    for registration in &available {
        let group_version = format!("{}/{}", registration.group, registration.version);
        let resources = ask(app.list_api_group_resources(&group_version)).await;
        let resources = noted(&format!("discovery of {group_version}"), resources, unread).map(|list| list.resources);
        for resource in resources.into_iter().flatten().filter(|resource| !resource.name.contains('/')) {
            let known = kinds.iter_mut().find(|kind| kind.group == registration.group && kind.plural == resource.name);
            match known {
                Some(known) => known.versions.push(registration.version.clone()),
                None => kinds.push(ApiStatus {
                    group: registration.group.clone(),
                    plural: resource.name,
                    kind: resource.kind,
                    versions: vec![registration.version.clone()],
                    form: None,
                    objects: None,
                    message: None,
                }),
            }
        }
    }
    kinds.sort_by(|one, other| (&one.group, &one.plural).cmp(&(&other.group, &other.plural)));
    let counted = counted(app, kinds).await;
    let mut reach = match registrations {
        [] if unread.iter().any(|unread| unread.what == API_SERVICES) => {
            Reach::Unknown("what is registered cannot be read".to_owned())
        }
        [] => Reach::Unknown("no API is registered".to_owned()),
        _ if available.is_empty() => Reach::Unknown("kube-apiserver does not reach the connector".to_owned()),
        _ => Reach::Unknown("no kind can be listed".to_owned()),
    };
    let mut apis = Vec::new();
    let mut refused = Vec::new();
    for Counted { mut kind, objects, forbidden } in counted {
        match objects {
            Ok(objects) => (kind.objects, reach) = (Some(objects), Reach::Reachable),
            Err(message) => {
                kind.message = Some(message.clone());
                let name = format!("{}.{}", kind.plural, kind.group);
                if forbidden {
                    unread.push(Unread { what: name, message });
                } else {
                    refused.push(format!("{name} cannot be listed: {message}"));
                    if reach != Reach::Reachable {
                        reach = Reach::Unreachable(message);
                    }
                }
            }
        }
        apis.push(kind);
    }
    // Who reaches it for one kind reaches it; what is wrong with another is that one's own.
    let refused = if reach == Reach::Reachable { refused } else { Vec::new() };
    (reach, apis, refused)
}

/// What counting one kind came to.
struct Counted {
    kind: ApiStatus,
    objects: Result<u64, String>,
    /// Whether who looks may not list it.
    forbidden: bool,
}

impl Counted {
    async fn of(app: &Client, kind: ApiStatus) -> Self {
        let objects = count(app, &kind).await;
        let forbidden = objects.as_ref().is_err_and(Unanswered::is_forbidden);
        Self { kind, objects: objects.map_err(|error| error.to_string()), forbidden }
    }
}

/// Counts the objects of all kinds. Where the first answer is slow in coming and none, the others are not waited for.
async fn counted(app: &Client, kinds: Vec<ApiStatus>) -> Vec<Counted> {
    let mut kinds = kinds.into_iter();
    let Some(first) = kinds.next() else { return Vec::new() };
    let asked = Instant::now();
    let first = Counted::of(app, first).await;
    let in_vain = first.objects.clone().err().filter(|_| asked.elapsed() > SLOW);
    let mut all = vec![first];
    match in_vain {
        Some(why) => {
            all.extend(kinds.map(|kind| Counted { kind, objects: Err(why.clone()), forbidden: false }));
        }
        None => {
            let others = stream::iter(kinds.map(|kind| Counted::of(app, kind)));
            all.extend(others.buffered(AT_ONCE).collect::<Vec<_>>().await);
        }
    }
    all
}

/// How many objects there are, counted by pages: lists through the connector have no `remainingItemCount`.
async fn count(app: &Client, kind: &ApiStatus) -> Result<u64, Unanswered> {
    let version = kind.versions.first().map_or("", String::as_str);
    let resource =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(&kind.group, version, &kind.kind), &kind.plural);
    let api = Api::<DynamicObject>::all_with(app.clone(), &resource);
    let mut page = ListParams::default().limit(PAGE);
    let mut objects = 0;
    loop {
        let list = ask(api.list_metadata(&page)).await?;
        objects += u64::try_from(list.items.len()).unwrap_or(u64::MAX);
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(objects),
        }
    }
}
