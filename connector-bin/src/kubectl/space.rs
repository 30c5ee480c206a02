//! The options that name a control plane in a Space.

use std::convert::Infallible;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory};
use connector_ops::control_plane::{Space, Token};
use connector_ops::install::Target;

use crate::Cli;

/// Where organizations of the documented product are, whose URL has the older form.
const HOST_OF_ACCOUNTS: &str = "proxy.upbound.io";
const TOKEN_VARIABLE: &str = "CONNECTOR_TOKEN";

/// With a host, CONTROL-PLANE is a name in a Space.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options for a control plane in a Space")]
pub(crate) struct SpaceOptions {
    /// Host of the Space; CONTROL-PLANE is a name in it
    #[arg(long, value_name = "HOST", env = "CONNECTOR_SPACES_HOST")]
    spaces_host: Option<String>,

    /// Group of the control plane in the Space
    #[arg(long, value_name = "NAME", default_value = "default")]
    group: String,

    /// Organization, for hosts of the older form of URL [default host: proxy.upbound.io]
    #[arg(long, value_name = "NAME")]
    account: Option<String>,

    /// File with the token by which the control plane is asked [default: $CONNECTOR_TOKEN, else standard input]
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,

    /// `-` reads the token from standard input. A token itself is refused: every listing of processes would show it
    #[arg(long, value_name = "-", value_parser = given_token, allow_hyphen_values = true)]
    token: Option<GivenToken>,

    /// File with the CA of the Space's host, in PEM [default: the system's]
    #[arg(long, value_name = "FILE")]
    spaces_certificate_authority: Option<PathBuf>,

    /// Believe the certificate of the Space's host unseen, here and in the connector; for trials only
    #[arg(long)]
    insecure_skip_tls_verify: bool,
}

/// What `--token` was followed by. A token itself is not kept: it must not be printed, as wrong values of options are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GivenToken {
    /// `-`
    OnStandardInput,
    /// Anything else.
    OnCommandLine,
}

fn given_token(given: &str) -> Result<GivenToken, Infallible> {
    Ok(if given == "-" { GivenToken::OnStandardInput } else { GivenToken::OnCommandLine })
}

pub(crate) fn token_on_command_line() -> clap::Error {
    let why = "a token on the command line is seen in every listing of processes and kept in the shell's history: use --token-file \
               FILE, the variable CONNECTOR_TOKEN, or --token - with the token on standard input";
    Cli::command().error(ErrorKind::ValueValidation, why)
}

impl SpaceOptions {
    /// Whether the options may be as they are; before anything is done.
    pub(crate) fn check(&self) -> Result<(), clap::Error> {
        if self.token == Some(GivenToken::OnCommandLine) { Err(token_on_command_line()) } else { Ok(()) }
    }

    /// The control plane of this name, where the options say that it is in a Space.
    pub(crate) fn target(&self, control_plane: &str) -> anyhow::Result<Option<Target>> {
        let host = match (&self.spaces_host, &self.account) {
            (Some(host), _) => host.clone(),
            (None, Some(_)) => HOST_OF_ACCOUNTS.to_owned(),
            (None, None) => {
                if self.token.is_some() || self.token_file.is_some() {
                    bail!("a token is for a control plane in a Space: give --spaces-host HOST, or --account NAME, too");
                }
                return Ok(None);
            }
        };
        let space = Space {
            host,
            group: self.group.clone(),
            account: self.account.clone(),
            control_plane: control_plane.to_owned(),
            certificate_authority: self.spaces_certificate_authority.clone(),
            insecure_skip_tls_verify: self.insecure_skip_tls_verify,
        };
        // What is wrong with it is told before a token is asked for.
        space.endpoint()?;
        Ok(Some(Target::Space { space, token: self.token()? }))
    }

    fn token(&self) -> anyhow::Result<Token> {
        let from_variable = || std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.trim().is_empty());
        let (token, from) = if let Some(file) = &self.token_file {
            let read = std::fs::read_to_string(file);
            (read.with_context(|| format!("the token file {} cannot be read", file.display()))?, "the token file")
        } else if self.token.is_some() {
            (standard_input()?, "standard input")
        } else if let Some(token) = from_variable() {
            (token, TOKEN_VARIABLE)
        } else if std::io::stdin().is_terminal() {
            bail!("no token was given: use --token-file FILE, the variable {TOKEN_VARIABLE}, or standard input");
        } else {
            (standard_input()?, "standard input")
        };
        let token = Token::new(&token);
        if token.is_empty() {
            bail!(
                "there is no token in {from}: use --token-file FILE, the variable {TOKEN_VARIABLE}, or standard input"
            );
        }
        Ok(token)
    }
}

fn standard_input() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("the token cannot be read from standard input")?;
    Ok(text)
}
