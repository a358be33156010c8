"""The files of a folder, by name."""

import unicodedata

_NOWHERE = "A link must lead somewhere. Received: '{}', which does not. Remove it, or renew it."


def subfolders(path):
    """Sorted names of the folders in a folder.

    Raises:
        ValueError: if there is a link that leads nowhere and may have been to a folder.
    """
    names = []
    for entry in path.iterdir():
        if entry.is_dir():
            names.append(entry.name)
        elif entry.is_symlink() and not entry.suffix and not entry.exists():
            raise ValueError(_NOWHERE.format(entry))
    return sorted(names)


def named_files(folder, suffixes):
    """Yields the files with one of the suffixes, in the order of their names.

    Hidden files and folders are left out, whatever they are called. Links that lead nowhere are
    not, or data would be missing without a word.

    Args:
        folder: `pathlib.Path`; one that is not there has no files.
        suffixes: sequence of str in small letters, such as `(".jpg", ".png")`.
    """
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() in suffixes and path.name[0] != "." and not path.is_dir():
            yield path


def files_by_name(folder, suffixes, refuse):
    """Name without suffix -> path, for the files of `named_files`.

    Names that differ in their Unicode normalization only, as those of one file do on different
    systems, are the same name.

    Args:
        folder, suffixes: as of `named_files`.
        refuse: function of a str, what is wrong with a file. If it returns, the file is left out.
    """
    files = {}
    for path in named_files(folder, suffixes):
        name = unicodedata.normalize("NFC", path.stem)
        if not path.is_file():
            refuse(_NOWHERE.format(path))
        elif name not in files:
            files[name] = path
        elif files[name].stem == path.stem:
            refuse(
                "A name must occur once in a folder. "
                f"Received: '{files[name]}' and '{path}'. Remove one."
            )
        else:
            refuse(
                "A name must occur once in a folder. Received, in two Unicode normalizations: "
                f"{files[name].name!a} and {path.name!a} in '{folder}'. Remove one."
            )
    return files
