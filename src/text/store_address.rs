//! Reads the address of a store for shared logs: `nats://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…][/NAME][?…]`.

use std::time::Duration;

/// The name of the store where none is given.
const DEFAULT_NAME: &str = "jarvis-tui";
const MAX_NAME_BYTES: usize = 64;
const LEASE_LIMITS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_hours(1));

/// Where shared logs are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreAddress {
    /// Each with its scheme, without a path; with user and password where the address has them.
    pub servers: Vec<String>,
    /// Tells several stores on the same servers apart.
    pub name: String,
    /// How long a server that is not heard of owns its sessions.
    pub lease: Duration,
    /// On how many servers an event is stored; as many as there are, up to three, if not given.
    pub replicas: Option<usize>,
    /// Where the servers tell how they are configured.
    pub monitors: Vec<String>,
}

impl StoreAddress {
    /// Reads an address; an error says what is wrong with it, without its password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text
            .split_once("://")
            .filter(|(scheme, _)| matches!(*scheme, "nats" | "tls"))
            .ok_or("a store begins with nats:// or tls://")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (hosts, name) = rest.split_once('/').unwrap_or((rest, ""));
        let name = if name.is_empty() { DEFAULT_NAME } else { name };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.len() > MAX_NAME_BYTES || !name.bytes().all(is_plain) {
            return Err(format!("the name of a store has letters, digits, - and _, at most {MAX_NAME_BYTES}"));
        }
        let (user, hosts) = hosts.rsplit_once('@').map_or((None, hosts), |(user, hosts)| (Some(user), hosts));
        let server = |host: &str| match user {
            Some(user) => format!("{scheme}://{user}@{host}"),
            None => format!("{scheme}://{host}"),
        };
        if hosts.split(',').any(str::is_empty) {
            return Err("a store needs the address of a server, or several with commas between them".to_owned());
        }
        let mut address = Self {
            servers: hosts.split(',').map(server).collect(),
            name: name.to_owned(),
            lease: Duration::from_secs(30),
            replicas: None,
            monitors: Vec::new(),
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            address.set(pair.split_once('=').unwrap_or((pair, "")))?;
        }
        Ok(address)
    }

    fn set(&mut self, (key, value): (&str, &str)) -> Result<(), String> {
        match key {
            "lease" => {
                let seconds = value.strip_suffix('s').unwrap_or(value).parse::<u64>().map(Duration::from_secs);
                self.lease = seconds
                    .ok()
                    .filter(|lease| *lease >= LEASE_LIMITS.0 && *lease <= LEASE_LIMITS.1)
                    .ok_or("lease is a number of seconds from 2 to 3600")?;
            }
            "replicas" => {
                let replicas = value.parse::<usize>().ok().filter(|replicas| (1..=5).contains(replicas));
                self.replicas = Some(replicas.ok_or("replicas is a number from 1 to 5")?);
            }
            "monitor" if value.starts_with("http://") || value.starts_with("https://") => {
                self.monitors.push(value.trim_end_matches('/').to_owned());
            }
            "monitor" => return Err("monitor is an address such as http://127.0.0.1:8222".to_owned()),
            _ => return Err("a store takes lease, replicas and monitor after its name".to_owned()),
        }
        Ok(())
    }

    /// Returns the password of the servers, which nobody is shown.
    pub fn password(&self) -> Option<&str> {
        let (_, rest) = self.servers.first()?.split_once("://")?;
        let (user, _) = rest.rsplit_once('@')?;
        Some(user.split_once(':').map_or(user, |(_, password)| password)).filter(|password| !password.is_empty())
    }

    /// Returns how long a server may go without renewing its lease before it gives its sessions up: others wait longer.
    pub fn holding_time(&self) -> Duration {
        self.lease * 4 / 5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_servers_share_user_and_name() {
        let address = StoreAddress::parse(
            "nats://me:pa@ss@a:4222,b,[::1]:4224/team_1?lease=6s&replicas=3&monitor=http://a:8222/",
        )
        .unwrap();
        assert_eq!(address.servers, ["nats://me:pa@ss@a:4222", "nats://me:pa@ss@b", "nats://me:pa@ss@[::1]:4224"]);
        assert_eq!((address.name.as_str(), address.lease.as_secs(), address.replicas), ("team_1", 6, Some(3)));
        assert_eq!((address.monitors, address.servers.len()), (vec!["http://a:8222".to_owned()], 3));
        assert_eq!(StoreAddress::parse("nats://a").unwrap().name, DEFAULT_NAME);
    }

    #[test]
    fn the_password_is_known_and_in_no_error() {
        let address = StoreAddress::parse("nats://me:s3cret@a/x").unwrap();
        assert_eq!(address.password(), Some("s3cret"));
        assert_eq!(StoreAddress::parse("tls://t0ken@a").unwrap().password(), Some("t0ken"));
        assert_eq!(StoreAddress::parse("tls://a").unwrap().password(), None);
        for wrong in [
            "http://me:s3cret@a",
            "nats://me:s3cret@",
            "nats://me:s3cret@a,,b",
            "nats://me:s3cret@a/b.c",
            "nats://me:s3cret@a?lease=1",
            "nats://me:s3cret@a?lease=x",
            "nats://me:s3cret@a?replicas=0",
            "nats://me:s3cret@a?monitor=a",
            "nats://me:s3cret@a?s3cret=1",
            "",
        ] {
            let error = StoreAddress::parse(wrong).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
