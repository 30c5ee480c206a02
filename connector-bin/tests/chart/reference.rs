//! `values.yaml`, its schema, the table in the chart's README and the versions agree.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use connector_ops::manifests::Values;
use serde_json::{Map, Value};

use crate::helm::chart;

const BEGIN: &str =
    "<!-- The table is generated: `UPDATE_DOCS=1 cargo test -p connector-bin --test chart reference` -->\n\n";
const END: &str = "\n<!-- The table ends -->";

fn read(name: &str) -> Result<String> {
    let file = chart().join(name);
    std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
}

fn schema() -> Result<Value> {
    serde_json::from_str(&read("values.schema.json")?).context("the schema is JSON")
}

/// A row for each value that is set by itself, in the order of `values.yaml`.
fn table(defaults: &Map<String, Value>, schema: &Value, text: &str) -> Result<String> {
    let mut rows = Vec::new();
    collect(defaults, schema, "", &mut rows)?;
    // In the order of the file; a map has none.
    let place = |path: &str| text.find(&format!("\n{}:", path.split('.').next().unwrap_or(path)));
    rows.sort_by_key(|(path, ..)| place(path));
    let mut table = "| value | default | meaning |\n|---|---|---|\n".to_owned();
    for (path, default, meaning) in rows {
        writeln!(table, "| `{path}` | {default} | {} |", meaning.replace('|', "\\|"))?;
    }
    Ok(table)
}

fn collect(
    defaults: &Map<String, Value>,
    schema: &Value,
    path: &str,
    rows: &mut Vec<(String, String, String)>,
) -> Result<()> {
    let properties = schema["properties"].as_object().with_context(|| format!("{path:?} has no properties"))?;
    for name in properties.keys().filter(|name| *name != "global" || !path.is_empty()) {
        ensure!(defaults.contains_key(name), "{path}{name} is in the schema and not in values.yaml");
    }
    for (name, default) in defaults {
        let property = properties.get(name).with_context(|| format!("{path}{name} is not in the schema"))?;
        let meaning = property["description"].as_str().with_context(|| format!("{path}{name} has no description"))?;
        ensure!(!meaning.ends_with('.'), "the description of {path}{name} ends in a full stop");
        match default.as_object() {
            Some(inner) if property["properties"].is_object() => {
                ensure!(property["additionalProperties"] == false, "{path}{name} takes anything");
                collect(inner, property, &format!("{path}{name}."), rows)?;
            }
            _ => rows.push((format!("{path}{name}"), shown(default), meaning.to_owned())),
        }
    }
    Ok(())
}

fn shown(default: &Value) -> String {
    match default {
        Value::String(text) if text.is_empty() => String::new(),
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

#[test]
fn the_readme_has_every_value() -> Result<()> {
    let (readme, text) = (read("README.md")?, read("values.yaml")?);
    let defaults: Map<String, Value> = serde_saphyr::from_str(&text)?;
    let table = table(&defaults, &schema()?, &text)?;
    let (before, rest) = readme.split_once(BEGIN).context("the README has no mark where the table begins")?;
    let (recorded, after) = rest.split_once(END).context("the README has no mark where the table ends")?;
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(chart().join("README.md"), format!("{before}{BEGIN}{table}{END}{after}"))?;
    } else {
        assert_eq!(recorded, table, "write the table anew, as the comment above it says");
    }
    Ok(())
}

/// The type of the kubectl plugin takes what the chart has; what it does not know it would refuse.
#[test]
fn the_plugin_knows_every_value() {
    assert_eq!(Values::default().image.repository, "ghcr.io/control-plane-connector/connector");
}

#[test]
fn the_versions_are_the_same() -> Result<()> {
    let chart: Value = serde_saphyr::from_str(&read("Chart.yaml")?)?;
    let version = env!("CARGO_PKG_VERSION");
    ensure!(chart["version"] == version && chart["appVersion"] == version, "Chart.yaml is not of {version}: {chart}");
    Ok(())
}
