//! Authenticators: extensions that prove to a server who sends a request.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, Uri};

use crate::component::{BuildContext, ComponentError};
use crate::config::{CollectorConfig, Problems, Section};
use crate::extensions::sigv4auth;

/// Adds to each request of an HTTP client what its server asks for.
#[async_trait]
pub trait Authenticator: Debug + Send + Sync {
    /// Gets ready: finds credentials, so that a wrong setup shows at start.
    ///
    /// # Errors
    ///
    /// There are none; the text names cause and remedy.
    async fn start(&self) -> Result<(), ComponentError>;

    /// What a user should know about sending to `url`, before anything is sent.
    fn warning(&self, url: &Uri) -> Option<String>;

    /// Authenticates a request that is otherwise complete. It must go to its URL as it is
    /// afterwards, and nowhere else: not to the target of a redirect.
    ///
    /// # Errors
    ///
    /// It cannot be done now; later it may.
    async fn authenticate(&self, request: &mut Request<Bytes>) -> Result<(), ComponentError>;

    /// The server did not accept the authentication. Returns whether another try, newly
    /// authenticated, may fare better.
    async fn refused(&self, answer: &Response<Bytes>) -> bool;
}

/// The authenticators that the configuration starts, by id.
#[derive(Clone, Debug, Default)]
pub struct Authenticators(Arc<BTreeMap<String, Arc<dyn Authenticator>>>);

impl Authenticators {
    /// Reads those that `service::extensions` lists. Problems go to `problems`.
    pub fn read(config: &CollectorConfig, cx: &BuildContext, problems: &mut Problems) -> Self {
        let mut found: BTreeMap<String, Arc<dyn Authenticator>> = BTreeMap::new();
        for reference in &config.service.extensions {
            if let Some(component) = config.find(Section::Extensions, &reference.id)
                && component.kind.name == "sigv4auth"
                && let Some(authenticator) = sigv4auth::read(component, cx, problems)
            {
                found.insert(component.id.to_string(), Arc::new(authenticator));
            }
        }
        Self(Arc::new(found))
    }

    /// The authenticator of that id, if the configuration starts it.
    pub fn get(&self, id: &str) -> Option<Arc<dyn Authenticator>> {
        self.0.get(id).map(Arc::clone)
    }
}
