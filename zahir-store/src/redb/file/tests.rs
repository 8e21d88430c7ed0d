use std::io::Write;

use super::*;

fn no_links(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn fill(mut file: File) -> Result<(), StoreError> {
    file.write_all(b"whole").unwrap();
    Ok(())
}

#[test]
fn a_file_is_made_where_hard_links_do_not_exist() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    create(&path, no_links, fill).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"whole");
}

#[test]
fn what_is_there_is_never_replaced() {
    for link in [no_links, HARD_LINK] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        std::fs::write(&path, b"theirs").unwrap();
        create(&path, link, fill).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
    }
}

#[test]
fn a_file_that_can_not_be_filled_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let full = |_| Err(StoreError::new(StoreErrorKind::Full, "full"));
    create(&folder.path().join("store"), no_links, full).unwrap_err();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_a_file() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    create(&path, no_links, fill).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
