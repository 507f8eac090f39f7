//! The machine or container that the collector runs on.

use otelpipe_core::attributes::Attributes;

use super::{DetectError, Surroundings};

/// Where the host's name comes from.
#[derive(Clone, Copy, Debug, serde::Deserialize, Eq, PartialEq)]
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

/// The host's name and the operating system, from files alone: no name server is asked.
///
/// # Errors
///
/// None of the sources has a name for the host.
pub fn detect(around: &Surroundings, sources: &[HostnameSource]) -> Result<Attributes, DetectError> {
    let short =
        around.read("/proc/sys/kernel/hostname").or_else(|| around.env.get("HOSTNAME").map(str::to_owned));
    let short = short.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let name = sources.iter().find_map(|source| match source {
        HostnameSource::Os => short.clone(),
        HostnameSource::Dns | HostnameSource::Cname | HostnameSource::Lookup => {
            qualified(around, short.as_deref()?)
        }
    });
    let name =
        name.ok_or_else(|| DetectError("no source of hostname_sources has a name for this host".into()))?;
    let release = around.read("/etc/os-release").unwrap_or_default();
    let field = |key: &str| {
        let value = release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.unwrap_or_default().trim_matches('"').to_owned()
    };
    let machine = around.read("/etc/machine-id").unwrap_or_default().trim().to_owned();
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let os = if std::env::consts::OS == "macos" { "darwin" } else { std::env::consts::OS };
    let pairs = [
        ("host.name", name),
        ("os.type", os.to_owned()),
        ("host.id", machine),
        ("host.arch", arch.to_owned()),
        ("os.name", field("NAME")),
        ("os.version", field("VERSION_ID")),
        ("os.description", field("PRETTY_NAME")),
    ];
    Ok(pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect())
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

    #[test]
    fn the_hosts_name_comes_from_the_first_source_that_has_one() {
        let root = std::env::temp_dir().join(format!("otelpipe-system-{}", std::process::id()));
        for folder in ["proc/sys/kernel", "etc"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        let write = |path: &str, text: &str| std::fs::write(root.join(path), text).unwrap();
        write("proc/sys/kernel/hostname", "web\n");
        write("etc/hosts", "127.0.0.1 localhost\n10.0.0.7 web.example.com web # ours\n");
        write("etc/os-release", "NAME=\"Amazon Linux\"\nVERSION_ID=\"2023\"\n");
        let around = Surroundings { env: crate::env::Env::default(), root: root.clone() };
        let name = |sources: &[HostnameSource]| {
            let found = detect(&around, sources)?;
            Ok::<_, DetectError>(found.get_str("host.name").unwrap_or_default().to_owned())
        };
        use HostnameSource::{Dns, Os};
        assert_eq!(name(&[Dns, Os]).unwrap(), "web.example.com");
        assert_eq!(name(&[Os, Dns]).unwrap(), "web");
        let found = detect(&around, &[Os]).unwrap();
        assert_eq!(
            (found.get_str("os.name"), found.get_str("os.version")),
            (Some("Amazon Linux"), Some("2023"))
        );
        write("etc/hosts", "127.0.0.1 localhost\n");
        assert_eq!(name(&[Dns, Os]).unwrap(), "web");
        let message = name(&[Dns]).unwrap_err().to_string();
        assert_eq!(message, "no source of hostname_sources has a name for this host");
        std::fs::remove_dir_all(root).unwrap();
    }
}
