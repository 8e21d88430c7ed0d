//! The file itself: found or made, refused when it is anything but ours, and watched.
//!
//! A file comes into being whole. redb makes one in several writes, and a process killed between
//! them leaves a file that can never be opened again; so it is made under another name in the same
//! folder, closed, synced, and only then linked to its name. A link, unlike a rename, never
//! replaces what somebody else put there.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::{StoreError, StoreErrorKind};

use super::guard::io_error;

/// What every redb file begins with (redb, `docs/design.md`).
const REDB_MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";

/// How a finished file gets its name without replacing another.
pub(super) type Link = fn(&Path, &Path) -> io::Result<()>;

/// What [`super::RedbOptions::open`] links with.
pub(super) const HARD_LINK: Link = |from, to| std::fs::hard_link(from, to);

/// The place of an open file.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    identity: Identity,
}

/// What tells two files apart.
#[cfg(unix)]
type Identity = (u64, u64);
/// Without device and inode only a file that is gone is noticed, not one that was replaced.
#[cfg(not(unix))]
type Identity = ();

#[cfg(unix)]
fn identity(metadata: &std::fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(_: &std::fs::Metadata) -> Identity {}

impl Place {
    /// Fails when the path does not lead to the open file any more.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let what = match std::fs::symlink_metadata(&self.path) {
            Ok(metadata) if identity(&metadata) == self.identity => return Ok(()),
            Ok(_) => "was replaced by another file",
            Err(error) if error.kind() == io::ErrorKind::NotFound => "was deleted or moved",
            Err(error) => return Err(io_error(&self.path.display().to_string(), error)),
        };
        Err(StoreError::new(
            StoreErrorKind::Detached,
            format!(
                "{} {what} while it was open: what is written now is lost when this process \
                 ends; put the file back or stop",
                self.path.display()
            ),
        ))
    }
}

/// Whether there is anything at the path. A link is refused, also one that leads nowhere.
pub(super) fn exists(path: &Path) -> Result<bool, StoreError> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(unusable(path, error)),
    };
    if metadata.is_symlink() {
        return Err(StoreError::new(
            StoreErrorKind::Unusable,
            format!(
                "{} is a symbolic link, which somebody else could point elsewhere: \
                 give the path of the file itself",
                path.display()
            ),
        ));
    }
    if metadata.is_dir() {
        return Err(StoreError::new(
            StoreErrorKind::Unusable,
            format!(
                "{} is a folder: give the path of a file in it",
                path.display()
            ),
        ));
    }
    if !metadata.is_file() {
        return Err(StoreError::new(
            StoreErrorKind::Unusable,
            format!("{} is no regular file: a store needs one", path.display()),
        ));
    }
    Ok(true)
}

/// Opens an existing file and looks at its first bytes, before redb touches it.
pub(super) fn open(path: &Path) -> Result<(File, Place), StoreError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|error| unusable(path, error))?;
    let metadata = file.metadata().map_err(|error| unusable(path, error))?;
    let place = Place {
        path: path.to_owned(),
        identity: identity(&metadata),
    };
    if metadata.len() == 0 {
        return Err(StoreError::new(
            StoreErrorKind::Foreign,
            format!(
                "{} exists and is empty: delete it, so that a store can be made there, or choose \
                 another path",
                path.display()
            ),
        ));
    }
    // A link put there since the path was looked at would lead elsewhere.
    place.check()?;
    let mut magic = [0; REDB_MAGIC.len()];
    match file.read_exact(&mut magic) {
        Ok(()) if magic == REDB_MAGIC => Ok((file, place)),
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(unusable(path, error)),
        Ok(()) | Err(_) => Err(StoreError::new(
            StoreErrorKind::Foreign,
            format!(
                "{} is not a zahir store, or its beginning is lost: nothing was changed; choose \
                 another path or restore a backup",
                path.display()
            ),
        )),
    }
}

/// Makes a file with `fill` under another name and links it to `path`. That somebody else was
/// faster is no error.
pub(super) fn create(
    path: &Path,
    link: Link,
    fill: impl FnOnce(File) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (file, temporary) = temporary(path)?;
    let made = fill(file).and_then(|()| {
        File::open(&temporary)
            .and_then(|file| file.sync_all())
            .and_then(|()| publish(&temporary, path, link))
            .map_err(|error| unusable(path, error))
    });
    // Gone already if it was renamed; if it stays behind it is in nobody's way.
    drop(std::fs::remove_file(&temporary));
    made?;
    sync_folder(path).map_err(|error| unusable(path, error))
}

/// A file of a name that nobody has, beside `path`. What a dead process left behind is passed over.
fn temporary(path: &Path) -> Result<(File, PathBuf), StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut suffix = 0_u64;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".new-{}-{suffix}", std::process::id()));
        let name = PathBuf::from(name);
        match options.open(&name) {
            Ok(file) => return Ok((file, name)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => suffix += 1,
            Err(error) => return Err(unusable(path, error)),
        }
    }
}

fn publish(temporary: &Path, path: &Path, link: Link) -> io::Result<()> {
    match link(temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // What file systems without hard links answer, FAT and some network ones.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::Unsupported
                    | io::ErrorKind::PermissionDenied
                    | io::ErrorKind::InvalidInput
            ) =>
        {
            rename_under_lock(temporary, path)
        }
        result => result,
    }
}

/// A rename replaces what is there, so only one process at a time may look and then rename.
fn rename_under_lock(temporary: &Path, path: &Path) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(name)?;
    lock.lock()?;
    if std::fs::symlink_metadata(path).is_ok() {
        return Ok(());
    }
    std::fs::rename(temporary, path)
}

/// Makes the new name itself durable. Only on Unix can a folder be opened and synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is open, and most of it can't happen here"
)]
fn unusable(path: &Path, error: io::Error) -> StoreError {
    let path = path.display();
    let (kind, message) = match error.kind() {
        io::ErrorKind::NotFound => (
            StoreErrorKind::Unusable,
            format!("the folder of {path} does not exist: make it or choose another path"),
        ),
        io::ErrorKind::PermissionDenied => (
            StoreErrorKind::Unusable,
            format!(
                "permission to read and write {path} is missing: grant it or choose another path"
            ),
        ),
        io::ErrorKind::ReadOnlyFilesystem => (
            StoreErrorKind::Unusable,
            format!("{path} is on a read-only file system: choose another path"),
        ),
        _ => return io_error(&path.to_string(), error),
    };
    StoreError::new(kind, message).with_source(error)
}

#[cfg(test)]
mod tests;
