//! Volumes as folders, written as the kubelet does: a folder for each state, and one symbolic link that is renamed.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{
    Container, KeyToPath, Pod, ProjectedVolumeSource, ServiceAccount, ServiceAccountTokenProjection, Volume,
    VolumeMount,
};
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};
use serde_json::json;

use super::file::{Source, field, keys};

/// The files of one state of a volume, by path.
type Files = BTreeMap<String, Vec<u8>>;

/// The volumes of a Pod.
pub(super) struct Volumes {
    client: Client,
    namespace: String,
    address: Ipv4Addr,
    folder: PathBuf,
    mounts: Vec<VolumeMount>,
    // What was written last, by volume.
    written: BTreeMap<String, Files>,
    // The tokens of projected volumes, by volume and path, and when they are to be renewed.
    tokens: BTreeMap<(String, String), (String, Instant)>,
    states: u64,
}

impl Volumes {
    pub(super) fn new(
        client: Client,
        pod: &Pod,
        container: &Container,
        folder: PathBuf,
        address: Ipv4Addr,
    ) -> Result<Self> {
        let mut mounts = container.volume_mounts.clone().unwrap_or_default();
        // The longest first, so that a mount inside another one wins.
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.mount_path.len()));
        Ok(Self {
            client,
            namespace: pod.namespace().context("a Pod without a namespace")?,
            address,
            folder,
            mounts,
            written: BTreeMap::new(),
            tokens: BTreeMap::new(),
            states: 0,
        })
    }

    /// Where a mount path is in truth.
    pub(super) fn folder_of(&self, mount_path: &str) -> Option<PathBuf> {
        let mount = self.mounts.iter().find(|mount| mount.mount_path.trim_end_matches('/') == mount_path)?;
        Some(self.place(mount))
    }

    fn place(&self, mount: &VolumeMount) -> PathBuf {
        match mount.sub_path.as_deref().filter(|path| !path.is_empty()) {
            Some(path) => self.folder.join(".subpaths").join(&mount.name).join(path),
            None => self.folder.join(&mount.name),
        }
    }

    /// A text of the Pod, with the paths and the address that are true here.
    pub(super) fn localized(&self, text: &str) -> String {
        let mut text = text.replace("0.0.0.0", &self.address.to_string());
        for mount in &self.mounts {
            text =
                replace_path(&text, mount.mount_path.trim_end_matches('/'), &self.place(mount).display().to_string());
        }
        text
    }

    /// Writes what changed. At first this fails where something is missing, and the Pod waits.
    pub(super) async fn refresh(&mut self, pod: &Pod) -> Result<()> {
        let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.clone()).unwrap_or_default();
        for volume in volumes {
            if !self.mounts.iter().any(|mount| mount.name == volume.name) {
                continue;
            }
            let files = self.files(pod, &volume).await.with_context(|| format!("volume \"{}\"", volume.name))?;
            let Some(files) = files else {
                std::fs::create_dir_all(self.folder.join(&volume.name))?;
                continue;
            };
            let first = !self.written.contains_key(&volume.name);
            if first || self.written.get(&volume.name) != Some(&files) {
                self.states += 1;
                write(&self.folder.join(&volume.name), &files, self.states)?;
            }
            if first {
                // A subPath is bound once, and never follows.
                let of_volume =
                    self.mounts.iter().filter(|mount| mount.name == volume.name && mount.sub_path.is_some());
                for mount in of_volume {
                    let key = mount.sub_path.as_deref().unwrap_or_default();
                    let content = files.get(key).with_context(|| format!("no file {key} in volume {}", volume.name))?;
                    write_file(&self.place(mount), content)?;
                }
            }
            self.written.insert(volume.name, files);
        }
        Ok(())
    }

    /// `None`: a folder that the container fills itself.
    async fn files(&mut self, pod: &Pod, volume: &Volume) -> Result<Option<Files>> {
        if let Some(secret) = &volume.secret {
            let name = secret.secret_name.as_deref().unwrap_or_default();
            return Ok(Some(self.keys(Source::Secret, name, secret.items.as_deref(), secret.optional).await?));
        }
        if let Some(map) = &volume.config_map {
            return Ok(Some(self.keys(Source::ConfigMap, &map.name, map.items.as_deref(), map.optional).await?));
        }
        if let Some(projected) = &volume.projected {
            return Ok(Some(self.projected(pod, &volume.name, projected).await?));
        }
        match volume.empty_dir {
            Some(_) => Ok(None),
            None => bail!("is of a kind that testkit::node does not play"),
        }
    }

    async fn projected(&mut self, pod: &Pod, volume: &str, projected: &ProjectedVolumeSource) -> Result<Files> {
        let mut files = Files::new();
        for source in projected.sources.iter().flatten() {
            if let Some(secret) = &source.secret {
                files.extend(self.keys(Source::Secret, &secret.name, secret.items.as_deref(), secret.optional).await?);
            }
            if let Some(map) = &source.config_map {
                files.extend(self.keys(Source::ConfigMap, &map.name, map.items.as_deref(), map.optional).await?);
            }
            for item in source.downward_api.iter().flat_map(|api| api.items.iter().flatten()) {
                let path = item.field_ref.as_ref().context("only fieldRef is played")?;
                files.insert(item.path.clone(), field(pod, &path.field_path, self.address)?.into_bytes());
            }
            if let Some(token) = &source.service_account_token {
                files.insert(token.path.clone(), self.token(pod, volume, token).await?.into_bytes());
            }
        }
        Ok(files)
    }

    /// A token of the Pod's ServiceAccount that is bound to the Pod, renewed after four fifths of its life.
    async fn token(&mut self, pod: &Pod, volume: &str, wanted: &ServiceAccountTokenProjection) -> Result<String> {
        let place = (volume.to_owned(), wanted.path.clone());
        if let Some((token, until)) = self.tokens.get(&place)
            && *until > Instant::now()
        {
            return Ok(token.clone());
        }
        let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone());
        let seconds = wanted.expiration_seconds.unwrap_or(3600);
        let audiences: Vec<&str> = wanted.audience.as_deref().into_iter().collect();
        let request: TokenRequest = serde_json::from_value(json!({ "spec": {
            "audiences": audiences,
            "expirationSeconds": seconds,
            "boundObjectRef": { "apiVersion": "v1", "kind": "Pod", "name": pod.name_any(), "uid": pod.uid() },
        } }))?;
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), &self.namespace);
        let account = account.as_deref().unwrap_or("default");
        let answer = accounts.create_token_request(account, &PostParams::default(), &request).await?;
        let token = answer.status.context("a TokenRequest without an answer")?.token;
        let until = Instant::now() + Duration::from_secs(seconds.unsigned_abs()) * 4 / 5;
        self.tokens.insert(place, (token.clone(), until));
        Ok(token)
    }

    async fn keys(
        &self,
        source: Source,
        name: &str,
        items: Option<&[KeyToPath]>,
        optional: Option<bool>,
    ) -> Result<Files> {
        let mut all = keys(&self.client, &self.namespace, source, name, optional).await?.unwrap_or_default();
        if source == Source::ConfigMap {
            for content in all.values_mut() {
                if let Ok(text) = std::str::from_utf8(content) {
                    *content = self.localized(text).into_bytes();
                }
            }
        }
        let Some(items) = items else { return Ok(all) };
        let mut files = Files::new();
        for item in items {
            match all.get(&item.key) {
                Some(content) => _ = files.insert(item.path.clone(), content.clone()),
                None if optional == Some(true) => {}
                None => bail!("{source:?} \"{name}\" has no key {}", item.key),
            }
        }
        Ok(files)
    }
}

/// Replaces `path` where it is a whole path or the beginning of one.
fn replace_path(text: &str, path: &str, by: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(path) {
        let (before, after) = (&rest[..at], &rest[at + path.len()..]);
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let whole = !before.ends_with(|c| inner(c) || c == '/') && !after.starts_with(inner);
        result.push_str(before);
        result.push_str(if whole { by } else { path });
        rest = after;
    }
    result.push_str(rest);
    result
}

/// `..N` holds the files, `..data` leads there, and each name leads through `..data`.
fn write(folder: &Path, files: &Files, state: u64) -> Result<()> {
    let new = format!("..{state}");
    for (path, content) in files {
        write_file(&folder.join(&new).join(path), content)?;
    }
    std::fs::create_dir_all(folder.join(&new))?;
    let before = std::fs::read_link(folder.join("..data")).ok();
    let temporary = folder.join("..data_tmp");
    std::os::unix::fs::symlink(&new, &temporary)?;
    std::fs::rename(&temporary, folder.join("..data"))?;
    let tops: Vec<&str> = files.keys().map(|path| path.split('/').next().unwrap_or(path)).collect();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with("..") && !tops.contains(&name.as_ref()) {
            std::fs::remove_file(folder.join(&*name))?;
        }
    }
    for top in tops {
        let link = folder.join(top);
        if link.symlink_metadata().is_err() {
            std::os::unix::fs::symlink(Path::new("..data").join(top), link)?;
        }
    }
    if let Some(before) = before {
        std::fs::remove_dir_all(folder.join(before))?;
    }
    Ok(())
}

fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_replaced_as_a_whole() {
        let replaced = |text| replace_path(text, "/etc/tls", "/tmp/x");
        assert_eq!(replaced("--a=/etc/tls/tls.crt,/etc/tls"), "--a=/tmp/x/tls.crt,/tmp/x");
        assert_eq!(replaced("/etc/tls-other /srv/etc/tls"), "/etc/tls-other /srv/etc/tls");
    }

    #[test]
    fn a_new_state_replaces_the_old_one_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = |of: &[(&str, &str)]| -> Files {
            of.iter().map(|&(path, content)| (path.to_owned(), content.as_bytes().to_vec())).collect()
        };
        let read = |path: &str| std::fs::read_to_string(folder.path().join(path)).ok();
        write(folder.path(), &files(&[("a", "1"), ("deep/b", "1")]), 1).expect("written");
        assert_eq!((read("a").as_deref(), read("deep/b").as_deref()), (Some("1"), Some("1")));
        write(folder.path(), &files(&[("a", "2"), ("c", "2")]), 2).expect("written");
        assert_eq!((read("a").as_deref(), read("deep/b"), read("c").as_deref()), (Some("2"), None, Some("2")));
        assert!(!folder.path().join("..1").exists());
    }
}
