"""GitHub as a source: files, issues and pull requests of repositories, for those who may read them there."""
