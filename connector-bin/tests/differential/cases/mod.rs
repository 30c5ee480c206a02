//! What is asked.

mod access;
mod apply;
mod content;
mod create;
mod delete;
mod descriptions;
mod documents;
mod encoding;
mod forms;
mod limits;
mod list;
mod pages;
mod patch;
mod rules;
mod scale;
mod status;
mod streams;
mod update;
mod versions;
mod watch;
mod yaml;

use crate::case::{CLAIM, Case, WIDGET, XR};

pub(crate) fn all() -> Vec<Case> {
    let mut all = Vec::new();
    for kind in [CLAIM, XR] {
        all.extend(create::cases(kind));
        all.extend(update::cases(kind));
        all.extend(patch::cases(kind));
        all.extend(apply::cases(kind));
        all.extend(delete::cases(kind));
        all.extend(list::cases(kind));
        all.extend(forms::cases(kind));
        all.extend(yaml::cases(kind));
        all.extend(status::cases(kind));
    }
    all.extend(watch::cases(CLAIM));
    for kind in [XR, WIDGET] {
        all.extend(streams::cases(kind));
        all.extend(pages::cases(kind));
    }
    all.extend(limits::cases(CLAIM));
    all.extend(scale::cases());
    all.extend(rules::cases());
    all.extend(encoding::cases());
    all.extend(descriptions::cases());
    all.extend(content::cases(WIDGET));
    all.extend(yaml::contents());
    all.extend(versions::cases());
    all.extend(access::cases());
    all.extend(documents::cases());
    all
}
