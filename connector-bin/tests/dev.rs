//! `connector dev`, as people run it.

#![cfg(feature = "embedded")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn dev(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_connector"));
    command.arg("dev").args(args);
    command
}

/// Ends the process with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already in the good case.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_demo_plays_to_its_end() {
    let folder = std::env::temp_dir().join(format!("connector-demo-{}", std::process::id()));
    let output = dev(&["--demo", "--dir", folder.to_str().unwrap()]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    for part in ["my-cluster   True     True", "claim-", "app-resource-name=my-cluster", "event MODIFIED", "no claims"]
    {
        assert!(told.contains(part), "{part:?} is missing in:\n{told}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn it_writes_private_kubeconfigs_and_ends_when_asked() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = std::env::temp_dir().join(format!("connector-dev-test-{}", std::process::id()));
    let child = dev(&["--dir", folder.to_str().unwrap()]).stdout(Stdio::piped()).spawn().unwrap();
    let mut running = Running(child);
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("Ctrl-C")), "it says how to end it");
    for name in ["app-cluster.kubeconfig", "control-plane.kubeconfig"] {
        let mode = std::fs::metadata(folder.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let pid = running.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let deadline = Instant::now() + Duration::from_secs(15);
    let status = loop {
        if let Some(status) = running.0.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_file_that_cannot_be_offered_is_told() {
    let output = dev(&["--xrd", "/nonexistent/xrd.yaml"]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot read /nonexistent/xrd.yaml"));
}
