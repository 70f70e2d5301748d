//! How one of a node's processes becomes a container's program.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;

use super::confined::{self, Users};
use super::messages::{Failure, Prepared, Specification, Tried};
use super::wire::Packets;
use crate::Process;

/// The exit code of a process that could not become its program: containerd's.
const NOT_STARTED: u8 = 128;

/// All that a process was handed over.
pub(crate) struct Handover {
    pub(crate) specification: Specification,
    stdio: [OwnedFd; 3],
    packets: Packets,
}

/// Prepares and becomes a program; what goes wrong is told to who asked for it.
pub(crate) fn tell(prepare: impl FnOnce(Handover) -> Result<Infallible, Failure>) -> ExitCode {
    let (Ok(packets), Ok(again)) = (Packets::inherited(), Packets::inherited()) else {
        return ExitCode::from(NOT_STARTED);
    };
    let outcome = Handover::receive(packets).and_then(prepare);
    match outcome {
        Ok(never) => match never {},
        Err(failure) => {
            // Who asked may have gone; then nobody waits.
            let _gone = again.send(&Prepared::Failed(failure), &[]);
            ExitCode::from(NOT_STARTED)
        }
    }
}

impl Handover {
    fn receive(packets: Packets) -> Result<Self, Failure> {
        let incomplete = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let step = || "receiving a specification".to_owned();
        let received = packets.receive::<()>().tried(step)?;
        let ((), descriptors) = received.ok_or_else(incomplete).tried(step)?;
        let [file, stdin, stdout, stderr] = <[OwnedFd; 4]>::try_from(descriptors)
            .map_err(|_| incomplete())
            .tried(step)?;
        let specification = serde_json::from_reader(io::BufReader::new(File::from(file)));
        Ok(Self {
            specification: specification.map_err(io::Error::from).tried(step)?,
            stdio: [stdin, stdout, stderr],
            packets,
        })
    }

    /// The last steps, in the container: terminal, standard streams, rights, exec.
    pub(crate) fn become_program(self, users: Users) -> Result<Infallible, Failure> {
        let Process {
            argv,
            env,
            workdir,
            user,
            groups,
            terminal,
        } = self.specification.process;
        let [program, arguments @ ..] = &argv[..] else {
            return Err(Failure::new("running nothing", io::ErrorKind::InvalidInput));
        };
        // A session of its own: a terminal's keys reach it, and nothing else's do.
        rustix::process::setsid().tried(|| "making a session".into())?;
        let stdio = if terminal {
            let (ours, theirs) = open_terminal().tried(|| "opening a terminal".into())?;
            let told = self.packets.send(&Prepared::Terminal, &[ours.as_fd()]);
            told.tried(|| "handing over a terminal".into())?;
            let again = || theirs.try_clone().tried(|| "opening a terminal".into());
            [again()?, again()?, again()?]
        } else {
            self.stdio
        };
        redirect(&stdio).tried(|| "setting the standard streams".into())?;
        let workdir = if workdir.as_os_str().is_empty() {
            "/".into()
        } else {
            workdir
        };
        std::fs::create_dir_all(&workdir)
            .and_then(|()| std::env::set_current_dir(&workdir))
            .tried(|| format!("entering {}", workdir.display()))?;
        confined::confine(user, &groups, users)?;
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(env);
        Err(Failure::new(format!("running {program}"), command.exec()))
    }
}

/// Both ends of a new terminal of this container; it becomes this session's.
fn open_terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let ours = rustix::fs::open("/dev/pts/ptmx", flags, Mode::empty())?;
    rustix::pty::unlockpt(&ours)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let theirs = rustix::pty::ioctl_tiocgptpeer(&ours, flags)?;
    rustix::process::ioctl_tiocsctty(&theirs)?;
    Ok((ours, theirs))
}

fn redirect([stdin, stdout, stderr]: &[OwnedFd; 3]) -> rustix::io::Result<()> {
    rustix::stdio::dup2_stdin(stdin)?;
    rustix::stdio::dup2_stdout(stdout)?;
    rustix::stdio::dup2_stderr(stderr)
}
