//! What is asked.

mod access;
mod apply;
mod content;
mod create;
mod delete;
mod documents;
mod forms;
mod list;
mod patch;
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
    }
    all.extend(watch::cases(CLAIM));
    all.extend(content::cases(WIDGET));
    all.extend(yaml::contents());
    all.extend(versions::cases());
    all.extend(access::cases());
    all.extend(documents::cases());
    all
}
