//! Opens the store that several servers share, if one is named, and looks whether a power cut could take events from it.

use secrecy::{ExposeSecret as _, SecretString};

use crate::config::environment;
use crate::config::secret::resolve_secret;
use crate::net;
use crate::runtime::{Runtime, UsageError};
use crate::text::store_address::StoreAddress;

impl Runtime {
    /// Has the logs be kept in the store that is named, if one is. Copies of them are in a folder of their own: who
    /// continued one without the store would have another log under its name. Returns warnings.
    pub(super) async fn open_shared_store(&mut self, flag: Option<&str>) -> anyhow::Result<Vec<String>> {
        let configured = flag.map_or_else(|| self.config().server.store.clone(), str::to_owned);
        let env = environment::variable;
        let resolved = tokio::task::spawn_blocking(move || resolve_secret(&configured, &env)).await??;
        let Some(text) = resolved.filter(|text| !text.expose_secret().is_empty()) else { return Ok(Vec::new()) };
        let address = StoreAddress::parse(text.expose_secret()).map_err(|why| UsageError(format!("--store: {why}")))?;
        if let Some(password) = address.password() {
            net::register_secret(&SecretString::from(password.to_owned()));
        }
        self.paths.data = self.paths.data.join("stores").join(&address.name);
        self.connect_store(&address).await?;
        Ok(self.check_durability(&address).await)
    }

    #[cfg(feature = "nats")]
    async fn connect_store(&mut self, address: &StoreAddress) -> anyhow::Result<()> {
        use anyhow::Context as _;

        use crate::bridge::shared_log::nats::NatsStore;
        let dir = self.paths.sessions_dir();
        let store = NatsStore::connect(address, dir).await.map_err(anyhow::Error::msg);
        let store = store.with_context(|| format!("the store {} can't be used", address.name))?;
        self.shared_store = Some(std::sync::Arc::new(store));
        Ok(())
    }

    #[cfg(not(feature = "nats"))]
    #[expect(clippy::unused_async, reason = "a build with stores waits here")]
    async fn connect_store(&mut self, _: &StoreAddress) -> anyhow::Result<()> {
        let text = "this build keeps logs in files only: build it with `--features nats` for --store";
        Err(UsageError(text.to_owned()).into())
    }

    /// Asks the servers whether they write each event to the disk before they say that they have it.
    async fn check_durability(&self, address: &StoreAddress) -> Vec<String> {
        let advice = "set sync_interval: always in the jetstream section of each server";
        if address.monitors.is_empty() {
            return vec![format!(
                "a power cut may take events that were shown, unless the servers of {} write each one to the disk: {advice}, \
                 and name their monitoring in --store (monitor=http://HOST:8222) to have it checked",
                address.name
            )];
        }
        let mut warnings = Vec::new();
        for monitor in &address.monitors {
            let told = self.http.get_json(&format!("{monitor}/jsz?config=true"), &[], CHECK_TIMEOUT).await;
            let problem = match told {
                Ok(told) if told["config"]["sync_always"] == true => continue,
                Ok(_) => {
                    "a power cut may take events that were shown: it does not write each one to the disk".to_owned()
                }
                Err(fault) => format!("it can't be asked whether it writes each event to the disk: {}", fault.message),
            };
            warnings.push(format!("{monitor}: {problem}; {advice}"));
        }
        warnings
    }
}

const CHECK_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(3);
