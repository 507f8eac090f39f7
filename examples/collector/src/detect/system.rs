//! The machine or container that the collector runs on.

use otelpipe_core::attributes::Attributes;
use otelpipe_core::value::AttributeValue;
use serde::Deserialize;

use super::{DetectError, Finding, Known, Surroundings, Switches};

/// Where the host's name comes from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum HostnameSource {
    /// The fully qualified name, as `/etc/hosts` has it.
    Dns,
    /// The kernel's.
    Os,
    /// The canonical name of the kernel's; here the same as `dns`.
    Cname,
    /// The name of the host's address; here the same as `dns`.
    Lookup,
}

/// The settings of the detector `system`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the host's name comes from: the first that has one. Default: `dns`, `os`.
    pub hostname_sources: Vec<HostnameSource>,
    /// Which attributes it gives. Default: `host.name` and `os.type`.
    pub resource_attributes: Switches,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hostname_sources: vec![HostnameSource::Dns, HostnameSource::Os],
            resource_attributes: Switches::default(),
        }
    }
}

impl Config {
    /// The attributes it can give.
    pub const KNOWN: &[Known] = &[
        ("host.arch", false),
        ("host.cpu.cache.l2.size", false),
        ("host.cpu.family", false),
        ("host.cpu.model.id", false),
        ("host.cpu.model.name", false),
        ("host.cpu.stepping", false),
        ("host.cpu.vendor.id", false),
        ("host.id", false),
        ("host.interface", false),
        ("host.ip", false),
        ("host.mac", false),
        ("host.name", true),
        ("os.build.id", false),
        ("os.description", false),
        ("os.name", false),
        ("os.type", true),
        ("os.version", false),
    ];
}

/// The host's name and the operating system, from files alone: no name server is asked.
///
/// Fails when no source has a name for the host and `host.name` is wanted.
pub fn detect(around: &Surroundings, config: &Config) -> Finding {
    let name = host_name(around, &config.hostname_sources);
    let mut found: Attributes = name.iter().map(|name| ("host.name", name.clone())).collect();
    add_operating_system(around, &mut found);
    let wanted = &config.resource_attributes;
    if ["host.interface", "host.ip", "host.mac"].iter().any(|key| wanted.wants(key, Config::KNOWN)) {
        add_network(around, &mut found);
    }
    if Config::KNOWN.iter().any(|(key, _)| key.starts_with("host.cpu.") && wanted.wants(key, Config::KNOWN)) {
        add_cpu(around, &mut found);
    }
    wanted.keep_wanted(Config::KNOWN, &mut found);
    let failure = (name.is_none() && wanted.wants("host.name", Config::KNOWN)).then(|| {
        DetectError("all hostname sources failed to get hostname; add `os` to system.hostname_sources".into())
    });
    // The files stay as they are, so there is no use in asking again.
    Finding { attributes: found, failure, try_again: false }
}

fn host_name(around: &Surroundings, sources: &[HostnameSource]) -> Option<String> {
    let short = kernel(around, "hostname").or_else(|| around.env.get("HOSTNAME").map(str::to_owned));
    let short = short.filter(|name| !name.is_empty())?;
    sources.iter().find_map(|source| match source {
        HostnameSource::Os => Some(short.clone()),
        HostnameSource::Dns | HostnameSource::Cname | HostnameSource::Lookup => qualified(around, &short),
    })
}

fn add_operating_system(around: &Surroundings, found: &mut Attributes) {
    let release = around.read("/etc/os-release").unwrap_or_default();
    let field = |key: &str| {
        let value = release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.unwrap_or_default().trim().trim_matches('"').to_owned()
    };
    let id = ["/etc/machine-id", "/var/lib/dbus/machine-id"].iter().find_map(|path| around.read(path));
    let machine = match std::env::consts::ARCH {
        "x86_64" => ("amd64", "x86_64"),
        "aarch64" => ("arm64", "aarch64"),
        other => (other, other),
    };
    let os = if std::env::consts::OS == "macos" { "darwin" } else { std::env::consts::OS };
    let uname: Vec<String> =
        ["ostype", "hostname", "osrelease", "version"].iter().filter_map(|key| kernel(around, key)).collect();
    let pretty = field("PRETTY_NAME");
    let description = match (pretty.as_str(), uname.is_empty()) {
        ("", true) => String::new(),
        ("", false) => format!("({} {})", uname.join(" "), machine.1),
        (pretty, true) => pretty.to_owned(),
        (pretty, false) => format!("{pretty} ({} {})", uname.join(" "), machine.1),
    };
    let pairs = [
        ("os.type", os.to_owned()),
        ("host.id", id.unwrap_or_default().trim().to_owned()),
        ("host.arch", machine.0.to_owned()),
        ("os.name", field("NAME")),
        ("os.version", field("VERSION_ID")),
        ("os.build.id", field("BUILD_ID")),
        ("os.description", description),
    ];
    for (key, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        found.insert(key, value);
    }
}

fn kernel(around: &Surroundings, key: &str) -> Option<String> {
    around.read(&format!("/proc/sys/kernel/{key}")).map(|text| text.trim().to_owned())
}

/// Names, hardware addresses and internet addresses of the interfaces, but the loopback's.
fn add_network(around: &Surroundings, found: &mut Attributes) {
    let folder = std::fs::read_dir(around.root.join("sys/class/net"));
    let mut names: Vec<String> = folder
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.retain(|name| name != "lo");
    names.sort_unstable();
    let macs = names.iter().filter_map(|name| around.read(&format!("/sys/class/net/{name}/address")));
    let macs = macs.map(|mac| mac.trim().to_ascii_uppercase().replace(':', "-"));
    let macs = macs.filter(|mac| !mac.is_empty() && mac != "00-00-00-00-00-00").collect();
    // An address of this host stands in a line of its own, the one after says so.
    let tree = around.read("/proc/net/fib_trie").unwrap_or_default();
    let mut ips: Vec<String> = Vec::new();
    for (line, next) in tree.lines().zip(tree.lines().skip(1)) {
        if let (Some(ip), true) = (line.trim().strip_prefix("|-- "), next.trim() == "/32 host LOCAL")
            && !ip.starts_with("127.")
            && !ips.iter().any(|known| known == ip)
        {
            ips.push(ip.to_owned());
        }
    }
    let six = around.read("/proc/net/if_inet6").unwrap_or_default();
    ips.extend(six.lines().filter(|line| !line.ends_with(" lo")).filter_map(|line| {
        let digits = u128::from_str_radix(line.split_whitespace().next()?, 16).ok()?;
        Some(std::net::Ipv6Addr::from(digits).to_string())
    }));
    for (key, list) in [("host.interface", names), ("host.mac", macs), ("host.ip", ips)] {
        if !list.is_empty() {
            let list: Vec<AttributeValue> = list.into_iter().map(AttributeValue::from).collect();
            found.insert(key, AttributeValue::Array(list.into()));
        }
    }
}

/// The first processor of `/proc/cpuinfo`.
fn add_cpu(around: &Surroundings, found: &mut Attributes) {
    let cpu = around.read("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let mut pairs = cpu.lines().filter_map(|line| line.split_once(':'));
        pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
    };
    for (key, name) in [
        ("host.cpu.vendor.id", "vendor_id"),
        ("host.cpu.family", "cpu family"),
        ("host.cpu.model.id", "model"),
        ("host.cpu.model.name", "model name"),
        ("host.cpu.stepping", "stepping"),
    ] {
        if let Some(value) = field(name) {
            found.insert(key, value);
        }
    }
    let cache = field("cache size").and_then(|text| text.split_whitespace().next()?.parse::<i64>().ok());
    if let Some(kilobytes) = cache {
        found.insert("host.cpu.cache.l2.size", kilobytes);
    }
}

/// The first name of the line of `/etc/hosts` that has `short`, if it has a domain.
fn qualified(around: &Surroundings, short: &str) -> Option<String> {
    if short.contains('.') {
        return Some(short.to_owned());
    }
    let hosts = around.read("/etc/hosts")?;
    let canonical = hosts.lines().find_map(|line| {
        let mut names = line.split('#').next()?.split_whitespace().skip(1);
        let first = names.next()?;
        (first == short || names.any(|name| name == short)).then(|| first.to_owned())
    })?;
    canonical.contains('.').then_some(canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Root(std::path::PathBuf);

    impl Root {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("otelpipe-{name}-{}", std::process::id()));
            Self(root)
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }

        fn detect(&self, sources: &[HostnameSource], switches: &str) -> Finding {
            let around =
                Surroundings { root: self.0.clone(), ..Surroundings::new(crate::env::Env::default()) };
            let resource_attributes = serde_json::from_str(switches).unwrap();
            detect(&around, &Config { hostname_sources: sources.to_vec(), resource_attributes })
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    use HostnameSource::{Dns, Os};

    #[test]
    fn the_hosts_name_comes_from_the_first_source_that_has_one() {
        let root = Root::new("system-name");
        root.write("proc/sys/kernel/hostname", "web\n");
        root.write("etc/hosts", "127.0.0.1 localhost\n10.0.0.7 web.example.com web # ours\n");
        let name = |sources: &[HostnameSource]| {
            let found = root.detect(sources, "{}").attributes;
            found.get_str("host.name").map(str::to_owned)
        };
        assert_eq!(name(&[Dns, Os]).as_deref(), Some("web.example.com"));
        assert_eq!(name(&[Os, Dns]).as_deref(), Some("web"));
        root.write("etc/hosts", "127.0.0.1 localhost\n");
        assert_eq!(name(&[Dns, Os]).as_deref(), Some("web"));
        assert_eq!(name(&[Dns]), None);
        let failure = root.detect(&[Dns], "{}").failure.unwrap().to_string();
        assert_eq!(
            failure,
            "all hostname sources failed to get hostname; add `os` to system.hostname_sources"
        );
        let unwanted = r#"{"host.name": {"enabled": false}}"#;
        assert!(root.detect(&[Dns], unwanted).failure.is_none(), "nobody wants the name");
    }

    #[test]
    fn name_and_type_are_given_and_the_rest_on_request() {
        let root = Root::new("system-all");
        for (key, text) in
            [("hostname", "web"), ("ostype", "Linux"), ("osrelease", "6.1.0"), ("version", "#1 SMP")]
        {
            root.write(&format!("proc/sys/kernel/{key}"), text);
        }
        root.write(
            "etc/os-release",
            "NAME=\"Amazon Linux\"\nVERSION_ID=\"2023\"\nPRETTY_NAME=\"Amazon Linux 2023\"\n",
        );
        root.write("etc/machine-id", "abc\n");
        root.write(
            "proc/net/fib_trie",
            "  |-- 10.0.0.7\n     /32 host LOCAL\n  |-- 127.0.0.1\n     /32 host LOCAL\n",
        );
        root.write("proc/net/if_inet6", "00000000000000000000000000000001 01 80 10 80       lo\nfe800000000000000000000000000007 02 40 20 80     eth0\n");
        root.write("sys/class/net/eth0/address", "0a:00:00:00:00:07\n");
        root.write("sys/class/net/lo/address", "00:00:00:00:00:00\n");
        root.write("proc/cpuinfo", "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: Xeon\ncache size\t: 512 KB\n");
        let names = |finding: &Finding| {
            finding
                .attributes
                .iter()
                .map(|(key, _)| key.to_string())
                .collect::<std::collections::BTreeSet<_>>()
        };
        let usual = root.detect(&[Os], "{}");
        assert_eq!(names(&usual), ["host.name", "os.type"].map(str::to_owned).into());
        let all: Vec<String> =
            Config::KNOWN.iter().map(|(key, _)| format!("\"{key}\": {{\"enabled\": true}}")).collect();
        let found = root.detect(&[Os], &format!("{{{}}}", all.join(","))).attributes;
        let text = |key: &str| found.get_str(key).unwrap_or_default();
        assert_eq!(
            [text("os.name"), text("os.version"), text("host.id"), text("host.cpu.model.id")],
            ["Amazon Linux", "2023", "abc", "85"]
        );
        assert_eq!(found.get("host.cpu.cache.l2.size"), Some(&AttributeValue::Int(512)));
        assert!(text("os.description").starts_with("Amazon Linux 2023 (Linux web 6.1.0 #1 SMP "));
        let list = |key: &str, items: &[&str]| {
            let items: Vec<AttributeValue> = items.iter().map(|item| AttributeValue::from(*item)).collect();
            assert_eq!(found.get(key), Some(&AttributeValue::Array(items.into())), "{key}");
        };
        list("host.ip", &["10.0.0.7", "fe80::7"]);
        list("host.mac", &["0A-00-00-00-00-07"]);
        list("host.interface", &["eth0"]);
    }
}
