//! Verbs of the binary, as an operator runs them beside the roles.

use std::process::Stdio;

use super::Lab;
use crate::binary::hookline_command;

impl Lab {
    /// Runs a verb of the binary; exit code, standard output, standard error.
    pub async fn hookline(&self, arguments: &[&str]) -> (i32, String, String) {
        self.hookline_with(arguments, &[]).await
    }

    /// A verb that a test starts itself; it dies with its handle.
    pub fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = hookline_command();
        command.args(arguments).current_dir(&self.folder).envs(&self.settings);
        command.envs(self.least(arguments.first().copied().unwrap_or_default()));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    pub async fn hookline_with(
        &self,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> (i32, String, String) {
        let output =
            self.command(arguments).envs(variables.iter().copied()).output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    /// Runs a verb of the binary, which must succeed; its standard output.
    pub async fn hookline_ok(&self, arguments: &[&str]) -> String {
        let (code, out, err) = self.hookline(arguments).await;
        assert_eq!(code, 0, "{arguments:?}: {out}{err}");
        out
    }

    /// `hookline accounts add`, which must succeed.
    pub async fn add_account(
        &self,
        channel: &str,
        login: &str,
        id: &str,
        token: &str,
        more: &[&str],
    ) {
        let mut arguments = vec![
            "accounts",
            "add",
            "--channel",
            channel,
            "--login",
            login,
            "--id",
            id,
            "--token-env",
            "TOKEN_OF_TEST",
        ];
        arguments.extend_from_slice(more);
        let (code, out, err) = self.hookline_with(&arguments, &[("TOKEN_OF_TEST", token)]).await;
        assert_eq!(code, 0, "{out}{err}");
    }
}
