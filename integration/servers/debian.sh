# debian.sh, to be sourced: Debian packages without touching the host.
# Packages are downloaded by a private apt (own lists, status and cache; signatures checked) from the
# mirror that this machine's own apt uses, and unpacked. The binaries run on that suite's own libraries.
# env: MIRROR, KEYRING
KEYRING=${KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}
ME=$(id -un)

# The mirror of this machine's own apt: its first repository whose path ends in /debian.
host_mirror() {
  { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null || true
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null \
      | grep -v '^[[:space:]]*#' | tr ' \t' '\n\n' | grep -E '^[a-z+]+://' || true
  } | sed 's#/*$##' | awk '/\/debian$/ && !n++'
}

private_apt() { APT_CONFIG=$A/apt.conf "$@"; }

# unpack SUITE DIR PACKAGE...: the packages and all that they depend on, into DIR.
unpack() {
  local suite=$1 root=$2 A=$2.apt mirror=${MIRROR:-$(host_mirror)} p; shift 2
  [ -n "$mirror" ] || { echo "no Debian mirror in this machine's apt configuration: set MIRROR" >&2; exit 1; }
  rm -rf "$root" "$A"; mkdir -p "$A"/{lists/partial,archives/partial,etc/empty} "$root"; : >"$A/status"
  echo "deb [signed-by=$KEYRING arch=amd64] $mirror $suite main" >"$A/etc/sources.list"
  cat >"$A/apt.conf" <<CONF
Dir::State "$A"; Dir::State::lists "$A/lists"; Dir::State::status "$A/status"; Dir::Cache "$A"; Dir::Cache::archives "$A/archives";
Dir::Etc::sourcelist "$A/etc/sources.list"; Dir::Etc::sourceparts "$A/etc/empty"; Dir::Etc::parts "$A/etc/empty"; Dir::Etc::main "$A/etc/none";
Dir::Etc::preferences "$A/etc/none"; Dir::Etc::preferencesparts "$A/etc/empty";
APT::Architecture "amd64"; APT::Architectures { "amd64"; }; APT::Install-Recommends "false"; APT::Sandbox::User "$ME";
Acquire::Languages "none"; Acquire::Check-Valid-Until "false"; Acquire::Retries "5";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false"; Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
CONF
  apt-config dump | grep -E '^Acquire::(Check-Date|https?::Proxy) ' >>"$A/apt.conf" || true
  private_apt apt-get -qq update
  # Against an empty status the closure holds everything, down to the C library. What is only needed to install is left out.
  private_apt apt-get install -s --no-install-recommends "$@" | awk '/^Inst/{print $2}' \
    | grep -vE '^(perl.*|libperl.*|gcc-.*-base|debconf.*|libgdbm.*|libdb5.*|galera.*|rsync|lsof|gawk|libmpfr.*|libsigsegv.*|libllvm.*|libz3.*|openssl-provider-legacy|libc-gconv-modules-extra)$' >"$A/want"
  ( cd "$A/archives" && private_apt apt-get -qq download $(cat "$A/want") )
  while read -r p; do dpkg -x "$(ls "$A/archives/${p}"_*.deb | tail -1)" "$root"; done <"$A/want"
  rm -rf "$A"
}

# loader ROOT: the dynamic loader of what was unpacked there.
loader() {
  local ld
  for ld in "$1"/usr/lib64/ld-linux-x86-64.so.2 "$1"/lib64/ld-linux-x86-64.so.2 "$1"/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2; do
    if [ -e "$ld" ]; then echo "$ld"; return; fi
  done
  echo "no loader below $1" >&2; return 1
}
