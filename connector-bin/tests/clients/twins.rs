//! The same APIs twice: in a cluster that holds the CRDs itself, and in one that reaches them through the connector.

use anyhow::{Result, ensure};
use serde_json::{Map, Value};
use testkit::connector::{Connector, ConnectorOptions};
use testkit::crossplane::{Crossplane, copy_apis};
use testkit::{Cluster, fixtures};

use crate::setup::options;

/// A claim namespace that nothing else is called, so that it betrays itself wherever it is seen.
const CLAIM_NAMESPACE: &str = "twins-claims";

/// The clusters.
pub(crate) struct Twins {
    // In the order in which they are to go.
    _connector: Connector,
    _crossplanes: Vec<Crossplane>,
    pub(crate) native: Cluster,
    pub(crate) app: Cluster,
    pub(crate) control_plane: Cluster,
}

/// A set of fixtures, and the group and version that its XRD offers.
pub(crate) type Set = (&'static str, &'static str);

pub(crate) const CLUSTERS: Set = (crate::setup::EXAMPLE, crate::setup::EXAMPLE_API);
/// A namespaced composite.
pub(crate) const DATABASES: Set = ("05-aws-sqlinstance-v2-namespaced", "aws.platform.upbound.io/v1alpha1");

impl Twins {
    /// Starts all, and waits until both sides have what the sets offer. Nobody acts on the objects.
    pub(crate) async fn start(sets: &[Set]) -> Result<Self> {
        let (native, app, control_plane) = clusters().await?;
        let crossplane = Crossplane::install_idle(&control_plane).await?;
        for (set, _) in sets {
            crossplane.offer(&fixtures::xrd(set)?).await?;
        }
        copy_apis(&control_plane, &native).await?;
        Self::connect(sets, native, app, control_plane, vec![crossplane]).await
    }

    /// The same, but Crossplane reconciles the objects on both sides.
    pub(crate) async fn start_with_crossplane(sets: &[Set]) -> Result<Self> {
        let (native, app, control_plane) = clusters().await?;
        let mut crossplanes = Vec::new();
        for cluster in [&native, &control_plane] {
            let crossplane = Crossplane::install(cluster).await?;
            for (set, _) in sets {
                crossplane.offer(&fixtures::xrd(set)?).await?;
            }
            crossplanes.push(crossplane);
        }
        Self::connect(sets, native, app, control_plane, crossplanes).await
    }

    async fn connect(
        sets: &[Set],
        native: Cluster,
        app: Cluster,
        control_plane: Cluster,
        crossplanes: Vec<Crossplane>,
    ) -> Result<Self> {
        let options = ConnectorOptions { claim_namespace: CLAIM_NAMESPACE.to_owned(), ..options() };
        let connector = Connector::start(&app, &control_plane, options).await?;
        for (_, api) in sets {
            native.wait_for_api(api).await?;
            connector.wait_available(&app, api).await?;
        }
        Ok(Self { _connector: connector, _crossplanes: crossplanes, native, app, control_plane })
    }
}

async fn clusters() -> Result<(Cluster, Cluster, Cluster)> {
    let (native, (app, control_plane)) =
        futures::future::try_join(Cluster::start_native(), Cluster::start_two()).await?;
    Ok((native, app, control_plane))
}

/// What a client did and got, step by step.
#[derive(Debug, Default)]
pub(crate) struct Transcript(Vec<Step>);

#[derive(Debug, PartialEq, Eq)]
struct Step {
    what: String,
    outcome: String,
}

impl Transcript {
    /// Adds what came of a step.
    pub(crate) fn tell(&mut self, what: &str, outcome: &str) {
        self.0.push(Step { what: what.to_owned(), outcome: outcome.to_owned() });
    }

    /// Adds what came of a step that answers JSON.
    pub(crate) fn tell_json(&mut self, what: &str, mut outcome: Value) {
        forget_maps(&mut outcome);
        self.tell(what, &format!("{outcome:#}"));
    }

    /// Every step came to the same, but for what no two clusters share, and nothing betrays the connector.
    pub(crate) fn check_against(&self, native: &Self) -> Result<()> {
        ensure!(self.0.len() == native.0.len(), "{} steps, natively {}", self.0.len(), native.0.len());
        ensure!(!self.0.is_empty(), "no step");
        let mut different = String::new();
        for (through, native) in self.0.iter().zip(&native.0) {
            let texts = (normal(&native.outcome), normal(&through.outcome));
            if through.what != native.what || texts.0 != texts.1 {
                different += &format!("\n==> {}\n{}", through.what, lines_that_differ(&texts.0, &texts.1));
            }
            let traces = crate::setup::traces(&through.outcome);
            if !traces.is_empty() || through.outcome.contains(CLAIM_NAMESPACE) {
                different += &format!("\n==> {} shows {traces:?}:\n{}", through.what, through.outcome);
            }
        }
        ensure!(different.is_empty(), "not as in a native cluster (-), but through the connector (+):{different}");
        Ok(())
    }
}

/// The text without what differs between any two clusters, or between two times.
pub(crate) fn normal(text: &str) -> String {
    const SHAPES: [(&str, &str); 12] = [
        // What client-go says of how its watches end follows from the moment; of the rest the moment and the process.
        (r"^[IWE]\d{4} \S+ +\d+ reflector\.go.*\n", ""),
        (r"^([IWE])\d{4} \S+ +\d+ ", "$1 "),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uid>"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?(Z|[+-]\d\d:?\d\d))?( UTC)?", "<time>"),
        (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d( UTC)? \d{4}", "<time>"),
        (r#"(?i)(resource ?version\\?"?: *\\?"?)\d{2,}"#, "$1<version>"),
        (r#"("continue": ")[^"]+"#, "$1<token>"),
        (r"127\.0\.0\.1:\d+|localhost:\d+", "<server>"),
        // Where kubectl keeps what it compares or edits.
        (r"(LIVE|MERGED)-\d+|kubectl-edit-\d+", "$1<folder>"),
        // How wide a column is follows from the ages in it, or from how many digits a time has.
        (r"\b(\d+[dhms]){1,2}( +|$)", "<age> "),
        (r"\b(AGE|UPDATED) +", "$1 "),
        (r"(?m) +$", ""),
    ];
    SHAPES.iter().fold(text.to_owned(), |text, (shape, name)| {
        let shape = regex::Regex::new(&format!("(?m){shape}"));
        shape.map(|shape| shape.replace_all(&text, *name).into_owned()).unwrap_or(text)
    })
}

/// Takes out who owns the maps of labels and annotations, which is a difference that `docs/differences.md` tells, and puts
/// managers in an order that the seconds of their times do not decide.
fn forget_maps(of: &mut Value) {
    match of {
        Value::Object(members) => {
            if let Some(Value::Array(managers)) = members.get_mut("managedFields") {
                for manager in &mut *managers {
                    if let Some(fields) = manager["fieldsV1"].as_object_mut() {
                        forget_map(fields);
                    }
                }
                managers.retain(|manager| manager["fieldsV1"].as_object().is_some_and(|fields| !fields.is_empty()));
                managers.sort_by_key(|of| {
                    ["manager", "operation", "subresource", "apiVersion"]
                        .map(|key| of[key].as_str().unwrap_or_default().to_owned())
                });
            }
            members.values_mut().for_each(forget_maps);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_maps),
        _ => {}
    }
}

fn forget_map(fields: &mut Map<String, Value>) {
    let Some(Value::Object(metadata)) = fields.get_mut("f:metadata") else { return };
    for map in ["f:labels", "f:annotations"] {
        if let Some(Value::Object(members)) = metadata.get_mut(map) {
            members.remove(".");
            if members.is_empty() {
                metadata.remove(map);
            }
        }
    }
    if metadata.is_empty() {
        fields.remove("f:metadata");
    }
}

/// The lines that only one of two texts has; both texts where that is none.
fn lines_that_differ(native: &str, through: &str) -> String {
    let lacking = |mark: &str, lines: &str, of: &str| -> String {
        let mut others: Vec<&str> = of.lines().collect();
        let only = lines.lines().filter(|line| match others.iter().position(|other| other == line) {
            Some(at) => {
                others.swap_remove(at);
                false
            }
            None => true,
        });
        only.map(|line| format!("{mark} {line}\n")).collect()
    };
    let only = lacking("-", native, through) + &lacking("+", through, native);
    if only.is_empty() { format!("in another order:\n{native}\n----\n{through}\n") } else { only }
}
