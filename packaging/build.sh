#!/bin/sh
# Builds the packages, or a system extension, into a directory:
#
#   packaging/build.sh packages DIR VERSION ARCH...
#   packaging/build.sh sysext   DIR VERSION ARCH...
#
# ARCH is Go's name: amd64, arm64, ... FORMATS, in the environment, are the
# kinds of packages (deb rpm apk archlinux). The same commit gives the same
# bytes: all times are those of SOURCE_DATE_EPOCH, by default the commit's.
set -eu
umask 022
cd "$(dirname "$0")/.."
what=$1 out=$2 version=$3
shift 3
nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0
maintainer="qemu-ga developers <qemu-ga@localhost.invalid>"
: "${FORMATS:=deb rpm apk archlinux}"
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || echo 0)}"
export SOURCE_DATE_EPOCH CGO_ENABLED=0
mkdir -p "$out"
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

# program ARCH builds the program, as `make build` does.
program() {
	GOOS=linux GOARCH=$1 go build -trimpath -buildvcs=false -ldflags='-s -w' -o "$stage/qemu-ga" ./cmd/qemu-ga
	touch -d "@$SOURCE_DATE_EPOCH" "$stage/qemu-ga"
}

# notices prints the licences of everything that is linked into the program.
notices() {
	echo "qemu-ga contains the following works of others."
	# shellcheck disable=SC2016 # go's template
	{
		echo "the Go standard library and runtime $(go env GOVERSION) $(go env GOROOT)"
		go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/qemu-ga | sort -u
	} | while read -r line; do
		directory=${line##* }
		printf '\n%s\n%s\n\n' ---------------------------------------- "${line% *}"
		found=
		for file in "$directory"/LICENSE* "$directory"/LICENCE* "$directory"/COPYING* "$directory"/NOTICE*; do
			[ -f "$file" ] || continue
			found=yes
			cat "$file"
		done
		[ -n "$found" ] || { echo "no licence of ${line% *}" >&2; exit 1; }
	done
}

# copyright prints Debian's form of the same.
copyright() {
	cat <<-'HEAD'
		Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
		Upstream-Name: qemu-ga

		Files: *
		Copyright: the qemu-ga authors
		License: Apache-2.0
		 On Debian systems, the full text of the Apache License, Version 2.0, is in
		 /usr/share/common-licenses/Apache-2.0.
		Comment:
	HEAD
	sed 's/^$/./; s/^/ /' "$stage/NOTICES"
}

# common makes what is the same for all architectures.
common() {
	notices >"$stage/NOTICES"
	copyright >"$stage/copyright"
	for script in packaging/scripts/*/*.sh; do
		to=$stage/${script#packaging/}
		mkdir -p "${to%/*}"
		cat packaging/scripts/common.sh "$script" >"$to"
	done
	for page in packaging/man/*.[1-8]; do
		section=${page##*.}
		mkdir -p "$stage/man/man$section"
		gzip -9n <"$page" >"$stage/man/man$section/${page##*/}.gz"
	done
	cp packaging/lintian-overrides "$stage"
	# The history is the project's; a package's has one entry, itself.
	{
		printf 'qemu-ga (%s-1) unstable; urgency=medium\n\n' "$version"
		printf '  * Built from the sources of that version.\n\n'
		printf ' -- %s  %s\n' "$maintainer" "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")"
	} | gzip -9n >"$stage/changelog.Debian.gz"
	find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

# units prints the contents that systemd's systems have in common.
units() {
	for format in deb rpm archlinux; do
		cat <<-UNITS
			  - {src: packaging/systemd/qemu-guest-agent.service, dst: /usr/lib/systemd/system/qemu-guest-agent.service, file_info: {mode: 0644}, packager: $format}
			  - {src: packaging/udev/60-qemu-guest-agent.rules, dst: /usr/lib/udev/rules.d/60-qemu-guest-agent.rules, file_info: {mode: 0644}, packager: $format}
			  - {src: packaging/systemd/journal-watchdog.conf, dst: /usr/lib/systemd/system/systemd-journald.service.d/qemu-guest-agent.conf, file_info: {mode: 0644}, packager: $format}
			  - {src: packaging/systemd/journal-watchdog.conf, dst: /usr/lib/systemd/system/systemd-timesyncd.service.d/qemu-guest-agent.conf, file_info: {mode: 0644}, packager: $format}
			  - {src: packaging/systemd/hardened.conf, dst: /usr/share/doc/qemu-ga/examples/hardened.conf, file_info: {mode: 0644}, packager: $format}
		UNITS
	done
}

build_packages() {
	common
	units >"$stage/units"
	for arch; do
		program "$arch"
		go run ./cmd/internal/sbom "$stage/qemu-ga" >"$stage/qemu-ga.spdx.json"
		touch -d "@$SOURCE_DATE_EPOCH" "$stage/qemu-ga.spdx.json"
		sed -e "s|@ARCH@|$arch|; s|@VERSION@|$version|; s|@STAGE@|$stage|g" \
			-e "/^@SYSTEMD@$/{r $stage/units" -e 'd}' packaging/nfpm.yaml >"$stage/nfpm.yaml"
		for format in $FORMATS; do
			go run $nfpm package --config "$stage/nfpm.yaml" --packager "$format" --target "$out"
		done
	done
}

# extension_release prints what a system must be for the image: only the
# architecture has to fit, as the program needs nothing of the system.
extension_release() {
	case $1 in
	amd64) architecture=x86-64 ;;
	ppc64le) architecture=ppc64-le ;;
	*) architecture=$1 ;;
	esac
	printf 'ID=_any\nARCHITECTURE=%s\n' "$architecture"
	# Reload, so that the merged unit is known and its start by the boot or by
	# the port's event happens.
	printf 'EXTENSION_RELOAD_MANAGER=1\n'
}

# build_sysext makes an image that systemd-sysext merges into /usr. It holds no
# configuration, which is in /etc, and starts the agent by itself.
build_sysext() {
	common
	for arch; do
		program "$arch"
		tree=$stage/sysext
		rm -rf "$tree"
		install -D -m 755 "$stage/qemu-ga" "$tree/usr/bin/qemu-ga"
		unit=$tree/usr/lib/systemd/system/qemu-guest-agent.service
		install -D -m 644 packaging/systemd/qemu-guest-agent.service "$unit"
		mkdir "${unit%/*}/multi-user.target.wants"
		ln -s ../qemu-guest-agent.service "${unit%/*}/multi-user.target.wants"
		for service in systemd-journald systemd-timesyncd; do
			install -D -m 644 packaging/systemd/journal-watchdog.conf "${unit%/*}/$service.service.d/qemu-guest-agent.conf"
		done
		install -D -m 644 packaging/udev/60-qemu-guest-agent.rules "$tree/usr/lib/udev/rules.d/60-qemu-guest-agent.rules"
		install -D -m 644 "$stage/NOTICES" "$tree/usr/share/licenses/qemu-ga/NOTICES"
		install -D -m 644 LICENSE "$tree/usr/share/licenses/qemu-ga/LICENSE"
		for hook in packaging/hooks/*; do
			install -D -m 755 "$hook" "$tree/usr/libexec/qemu-ga/fsfreeze-hook.d/${hook##*/}.sample"
		done
		mkdir -p "$tree/usr/lib/extension-release.d"
		extension_release "$arch" >"$tree/usr/lib/extension-release.d/extension-release.qemu-ga"
		# The image's name without .raw must be that of the extension-release,
		# so the architecture is in the directory's.
		mkdir -p "$out/sysext-$arch"
		rm -f "$out/sysext-$arch/qemu-ga.raw"
		mksquashfs "$tree" "$out/sysext-$arch/qemu-ga.raw" -all-root -no-progress -quiet -comp xz
		echo "created image: $out/sysext-$arch/qemu-ga.raw"
	done
}

case $what in
packages) build_packages "$@" ;;
sysext) build_sysext "$@" ;;
*)
	echo "$0: cannot build $what: packages or sysext" >&2
	exit 2
	;;
esac
