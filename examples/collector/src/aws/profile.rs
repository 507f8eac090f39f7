//! Where the shared AWS files are, and the region they name.

use std::path::PathBuf;

use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};

use crate::env::Env;

/// The profile and files that the environment chooses.
#[derive(Clone, Debug)]
pub struct SharedProfile {
    /// `default` unless `AWS_PROFILE` or `AWS_DEFAULT_PROFILE` name another.
    pub name: String,
    /// Whether the environment names it, so that it has to exist.
    pub is_named: bool,
    /// `~/.aws/config`
    config: Option<PathBuf>,
    /// `~/.aws/credentials`
    credentials: Option<PathBuf>,
}

impl SharedProfile {
    /// What the environment says. Reads no file.
    pub fn from_env(env: &Env) -> Self {
        let named = env.first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]);
        let home = env.first(&["HOME", "USERPROFILE"]);
        let file = |variable: &str, name: &str| match env.get(variable) {
            Some(path) => Some(PathBuf::from(path)),
            None => home.map(|home| PathBuf::from(home).join(".aws").join(name)),
        };
        Self {
            name: named.unwrap_or("default").to_owned(),
            is_named: named.is_some(),
            config: file("AWS_CONFIG_FILE", "config"),
            credentials: file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        }
    }

    /// Whether one of the files has a section for the profile.
    pub fn exists(&self) -> bool {
        let in_config = read(self.config.as_ref()).is_some_and(|text| self.section(&text, true).is_some());
        in_config || read(self.credentials.as_ref()).is_some_and(|text| self.section(&text, false).is_some())
    }

    /// The files that exist, for the profile's credentials.
    pub fn files(&self) -> EnvConfigFiles {
        let mut files = EnvConfigFiles::builder();
        let existing = |path: &Option<PathBuf>| path.clone().filter(|path| path.is_file());
        match existing(&self.config) {
            Some(path) => files = files.with_file(EnvConfigFileKind::Config, path),
            None => files = files.with_contents(EnvConfigFileKind::Config, ""),
        }
        if let Some(path) = existing(&self.credentials) {
            files = files.with_file(EnvConfigFileKind::Credentials, path);
        }
        files.build()
    }

    /// The `region` of the profile; that of the credentials file wins, as in the SDK.
    pub fn region(&self) -> Option<String> {
        let of = |path: &Option<PathBuf>, is_config| {
            let text = read(path.as_ref())?;
            value_of(self.section(&text, is_config)?, "region").map(str::to_owned)
        };
        of(&self.credentials, false).or_else(|| of(&self.config, true))
    }

    /// The lines of the profile's section.
    fn section<'t>(&self, text: &'t str, is_config: bool) -> Option<Vec<&'t str>> {
        let mut lines = text.lines();
        let is_ours = |line: &str| {
            let Some(title) = line.trim().strip_prefix('[').and_then(|rest| rest.split(']').next()) else {
                return false;
            };
            let title = title.trim();
            let with_prefix = || title.strip_prefix("profile").map(str::trim) == Some(self.name.as_str());
            (is_config && with_prefix()) || ((!is_config || self.name == "default") && title == self.name)
        };
        lines.find(|line| is_ours(line))?;
        Some(lines.take_while(|line| !line.trim_start().starts_with('[')).collect())
    }
}

fn value_of<'t>(section: Vec<&'t str>, key: &str) -> Option<&'t str> {
    section.into_iter().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key && !line.starts_with([' ', '\t']))
            .then(|| value.trim())
            .filter(|value| !value.is_empty())
    })
}

fn read(path: Option<&PathBuf>) -> Option<String> {
    std::fs::read_to_string(path?).ok()
}
