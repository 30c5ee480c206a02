//! The control plane's side of an install: where it is, who the connector is there, what it may do, and by what it is known.
//!
//! | module | what it holds |
//! |---|---|
//! | `endpoint` | where a control plane is and whom to believe that it is; the kubeconfig made of it |
//! | `space` | control planes that are reached by their name in a Space |
//! | `account` | the ServiceAccount of one app cluster, and its rights |
//! | `token` | its token: how long it is good, and for whom |

pub(crate) mod account;
mod endpoint;
mod space;
pub(crate) mod token;

pub use endpoint::{Endpoint, EndpointError};
pub use space::{Space, SpaceError};
pub use token::Token;
