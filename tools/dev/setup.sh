# shellcheck shell=bash
# Installs what is missing from Debian's packages. Sourced by ./dev.

readonly kPackageList=tools/dev/packages.list

package_is_installed() {
  [[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]
}

# missing_packages GROUP… -> the packages of those groups that are not here, one a line.
missing_packages() {
  local wanted=" $* " group package command
  while read -r group package command; do
    [[ "$wanted" == *" $group "* ]] || continue
    if [[ -n "$command" ]] && have "$command"; then continue; fi
    package_is_installed "$package" || say "$package"
  done < <(grep -v -e '^#' -e '^$' "$kPackageList")
}

as_root() {
  if [[ $(id -u) == 0 ]]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  else
    sudo env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

# A mirror that hiccups, or another apt at work, is not a reason to fail.
apt_get() {
  local attempt
  for attempt in 1 2 3; do
    if as_root apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
      -o Dpkg::Use-Pty=0 "$@" </dev/null; then
      return 0
    fi
    say "apt-get $1 failed (attempt $attempt of 3)"
    sleep $((attempt * 5))
  done
  return 1
}

# setup GROUP… (all groups when none is named)
setup() {
  local groups=("$@") missing
  ((${#groups[@]} > 0)) || groups=(build console test)
  mapfile -t missing < <(missing_packages "${groups[@]}")
  ((${#missing[@]} > 0)) || return 0
  have apt-get || die "missing: ${missing[*]}; this script installs them only on Debian"
  if [[ $(id -u) != 0 ]] && ! have sudo; then
    die "missing: ${missing[*]}; as root, run: apt-get install ${missing[*]}"
  fi
  section "install from Debian: ${missing[*]}"
  apt_get update || die "apt-get update failed; check the network and /etc/apt"
  apt_get install -y --no-install-recommends "${missing[@]}" >"$(setup_log)" ||
    die "apt-get install failed; see $(setup_log)"
}

setup_log() {
  mkdir -p "$kBuildRoot"
  say "$kBuildRoot/setup.log"
}
