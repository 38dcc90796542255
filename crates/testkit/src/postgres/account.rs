//! The account that runs a server: PostgreSQL refuses root.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// A user of the system; ours when we are not root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    /// User and group; `None` when there is nothing to change.
    ids: Option<(u32, u32)>,
}

impl Account {
    /// Returns the account: when we are root, `postgres`, else `nobody`.
    pub(super) fn of_server() -> Self {
        static FOUND: OnceLock<Account> = OnceLock::new();
        *FOUND.get_or_init(|| {
            if own_user() != 0 {
                return Self { ids: None };
            }
            let users = std::fs::read_to_string("/etc/passwd").expect("a system has a list of its users");
            let ids = ["postgres", "nobody"].iter().find_map(|name| ids_of(&users, name));
            Self { ids: Some(ids.expect("a system has the user `nobody`")) }
        })
    }

    /// Returns what tells this account's files from another's.
    pub(super) fn label(self) -> String {
        self.ids.map_or_else(|| "own".to_owned(), |(user, _)| format!("user {user}"))
    }

    /// Makes the command run as this account.
    pub(super) fn applied(self, command: &mut Command) {
        if let Some((user, group)) = self.ids {
            command.gid(group).uid(user);
        }
    }

    /// Gives a file or folder to this account.
    pub(super) fn owns(self, path: &Path) {
        if let Some((user, group)) = self.ids {
            std::os::unix::fs::chown(path, Some(user), Some(group))
                .unwrap_or_else(|error| panic!("{} cannot be given to user {user}: {error}", path.display()));
        }
    }

    /// Returns whether this account may run the program.
    pub(super) fn can_run(self, program: &Path) -> bool {
        let mut command = Command::new(program);
        self.applied(&mut command);
        let status = command.arg("--version").current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }
}

/// Returns the user who runs us.
pub(super) fn own_user() -> u32 {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let metadata = folder.path().metadata().expect("our own folder can be looked at");
    std::os::unix::fs::MetadataExt::uid(&metadata)
}

/// Reads `name:x:UID:GID:…`.
fn ids_of(users: &str, name: &str) -> Option<(u32, u32)> {
    let mut fields = users
        .lines()
        .map(|line| line.split(':'))
        .find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
    let user = fields.nth(1)?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    Some((user, group))
}

#[cfg(test)]
mod tests {
    use super::ids_of;

    #[test]
    fn ids_are_read_from_the_list_of_users() {
        let users = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65533:nobody:/:/bin/false\n";
        assert_eq!(ids_of(users, "nobody"), Some((65534, 65533)));
        assert_eq!(ids_of(users, "postgres"), None);
    }
}
