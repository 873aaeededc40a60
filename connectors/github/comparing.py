"""What a comparison of two commits says of their paths. Pure."""

from collections.abc import Mapping

from connectors.github.models import Comparison, Touched


def by_path(comparison: Comparison) -> dict[str, Touched | None]:
    """Return what each path is afterwards; None: nothing."""
    found: dict[str, Touched | None] = {
        each.previous_filename: None for each in comparison.files if each.previous_filename and each.status == "renamed"
    }
    for each in comparison.files:
        found[each.filename] = None if each.status == "removed" else each
    return found


def is_left(touched: Touched, after: Mapping[str, Touched | None]) -> bool:
    """Say whether a path is that of a renamed file, whose old path nothing has taken."""
    old = touched.previous_filename
    return touched.status == "renamed" and old is not None and after.get(old) is None


def is_surely_a_file(touched: Touched) -> bool:
    """Say whether a difference is that of a file's lines.

    A link is one line without an end, a submodule one line that names its commit, and both are told without a patch
    where only the name or the mode changed, or where the whole difference is too large to be shown.
    """
    if touched.patch is None:
        return touched.additions > 1
    added = [line for line in touched.patch.splitlines() if line.startswith("+")]
    return len(added) > 1 or (
        len(added) == 1
        and "No newline at end of file" not in touched.patch
        and not added[0].startswith("+Subproject commit ")
    )
