//! How the connector of a Pod is configured: by its arguments, the environment and the file of `--config`, in that order.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Container, PodSpec, Volume};
use kube::Api;
use serde_json::Value;

use crate::ask::ask;

/// The options of one connector.
pub(super) struct Options {
    container: Container,
    file: BTreeMap<String, Value>,
}

impl Options {
    /// Reads them from where the Pod has them. A file that cannot be read counts as empty.
    pub(super) async fn of(pod: &PodSpec, config_maps: &Api<ConfigMap>) -> Self {
        let serves = |container: &&Container| words(container).any(|word| word == "serve");
        let container = pod.containers.iter().find(serves).or(pod.containers.first()).cloned().unwrap_or_default();
        let mut options = Self { container, file: BTreeMap::new() };
        if let Some(path) = options.get("config")
            && let Some((volume, file)) = volume_of(pod, &path)
            && let Some(source) = &volume.config_map
            && let Ok(Some(config)) = ask(config_maps.get_opt(&source.name)).await
        {
            let item = source.items.iter().flatten().find(|item| item.path == file);
            let key = item.map_or(&file, |item| &item.key);
            let text = config.data.unwrap_or_default().remove(key).unwrap_or_default();
            options.file = serde_saphyr::from_str(&text).unwrap_or_default();
        }
        options
    }

    /// An option by its long name without dashes.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let flag = format!("--{name}");
        let mut words = words(&self.container);
        while let Some(word) = words.next() {
            if word == flag {
                return words.next().filter(|value| !value.starts_with("--")).map(|value| self.expanded(value));
            }
            if let Some(value) = word.strip_prefix(&flag).and_then(|rest| rest.strip_prefix('=')) {
                return Some(self.expanded(value));
            }
        }
        self.variable(&format!("CONNECTOR_{}", name.to_uppercase().replace('-', "_"))).or_else(|| {
            match self.file.get(name)? {
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            }
        })
    }

    fn variable(&self, name: &str) -> Option<String> {
        let variable = self.container.env.iter().flatten().find(|variable| variable.name == name)?;
        variable.value.clone().filter(|value| !value.is_empty())
    }

    /// `$(NAME)` in an argument is a variable of the container, as kubelet reads it.
    fn expanded(&self, text: &str) -> String {
        let variables = self.container.env.iter().flatten();
        variables.fold(text.to_owned(), |text, variable| match &variable.value {
            Some(value) => text.replace(&format!("$({})", variable.name), value),
            None => text,
        })
    }
}

fn words(container: &Container) -> impl Iterator<Item = &str> {
    container.command.iter().chain(&container.args).flatten().map(String::as_str)
}

/// The volume that holds the file at `path`, and the file's path in it.
pub(super) fn volume_of<'p>(pod: &'p PodSpec, path: &str) -> Option<(&'p Volume, String)> {
    let mounts = pod.containers.iter().flat_map(|container| container.volume_mounts.iter().flatten());
    let (mount, file) = mounts
        .filter_map(|mount| {
            let rest = path.strip_prefix(mount.mount_path.trim_end_matches('/'))?;
            match (&mount.sub_path, rest) {
                (Some(sub_path), "") => Some((mount, sub_path.clone())),
                _ => Some((mount, rest.strip_prefix('/')?.to_owned())),
            }
        })
        .max_by_key(|(mount, _)| mount.mount_path.len())?;
    let volume = pod.volumes.iter().flatten().find(|volume| volume.name == mount.name)?;
    Some((volume, file))
}
