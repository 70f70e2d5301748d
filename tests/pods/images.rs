//! Images that are files: unpacked, and run as they say.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tar::{Builder, EntryType, Header};

use super::flow::Test;
use super::sandbox::Sandbox;

pub(crate) const TESTS: &[Test] = &[(
    "an_archive_of_docker_save_runs_with_its_own_files_user_and_variables",
    archive,
)];

/// What the image runs; its shell is all that it has.
const SCRIPT: &str = "echo $GREETING $PWD $HOME $1; read line < /etc/hostname; echo $line; echo x > x && echo wrote; \
                      while read name real rest; do case $name in Uid:) echo uid $real;; esac; done < /proc/self/status";

/// Writes the image `app:1`, and the file that names it.
pub(crate) fn write(folder: &Path) -> PathBuf {
    let layer = layer();
    let mut archive = Builder::new(File::create(folder.join("app.tar")).unwrap());
    let mut put = |name: &str, octets: &[u8]| {
        let mut header = Header::new_gnu();
        header.set_size(octets.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, octets).unwrap();
    };
    let architecture = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    let config = json!({
        "architecture": architecture, "os": "linux",
        "config": {
            "User": "app", "Env": ["GREETING=hello"], "WorkingDir": "/work",
            "Entrypoint": ["/bin/sh", "-c", SCRIPT, "sh"], "Cmd": ["image"],
        },
    });
    put("config.json", config.to_string().as_bytes());
    put("layer.tar", &layer);
    let manifest =
        json!([{"Config": "config.json", "RepoTags": ["app:1"], "Layers": ["layer.tar"]}]);
    put("manifest.json", manifest.to_string().as_bytes());
    archive.finish().unwrap();
    let file = folder.join("images");
    std::fs::write(&file, "# beside this file\napp:1=./app.tar\n").unwrap();
    file
}

/// A shell with its libraries, a user, and a folder of that user.
fn layer() -> Vec<u8> {
    let mut layer = Builder::new(Vec::new());
    let libraries = Command::new("ldd").arg("/bin/sh").output().unwrap();
    let libraries = String::from_utf8(libraries.stdout).unwrap();
    let words = libraries.split_whitespace();
    for file in words
        .filter(|word| word.starts_with('/'))
        .chain(["/bin/sh"])
    {
        let octets = std::fs::read(file).unwrap();
        let mut header = Header::new_gnu();
        header.set_size(octets.len() as u64);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        let name = file.trim_start_matches('/');
        layer.append_data(&mut header, name, &octets[..]).unwrap();
    }
    let passwd = b"root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n";
    let mut header = Header::new_gnu();
    header.set_size(passwd.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    layer
        .append_data(&mut header, "etc/passwd", &passwd[..])
        .unwrap();
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Directory);
    header.set_size(0);
    header.set_mode(0o755);
    header.set_uid(1000);
    header.set_gid(1000);
    layer.append_data(&mut header, "work/", &[][..]).unwrap();
    layer.into_inner().unwrap()
}

fn archive(sandbox: Sandbox) {
    sandbox.kubectl(&["run", "app", "--image=app:1", "--restart=Never"]);
    let phase = ["get", "pod", "app", "-o", "jsonpath={.status.phase}"];
    sandbox.kubectl_until(&phase, |phase| phase == "Succeeded");
    let wanted = "hello /work /home/app image\napp\nwrote\nuid 1000\n";
    assert_eq!(sandbox.kubectl(&["logs", "app"]), wanted);
    // One that stays reads what nobody writes.
    let run = ["run", "stays", "--image=app:1", "--stdin", "--attach=false"];
    sandbox.kubectl(&[&run[..], &["--command", "--", "/bin/sh", "-c", "read x"]].concat());
    let exec = [
        "exec", "stays", "--", "/bin/sh", "-c", SCRIPT, "sh", "beside",
    ];
    let said = sandbox.kubectl_until(&exec, |said| !said.is_empty());
    assert_eq!(
        said,
        "hello /work /home/app beside\nstays\nwrote\nuid 1000\n"
    );
}
