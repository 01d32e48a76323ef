# Makes the root filesystems of full Debian guests, as root:
#
#   debian.sh base TREE PACKAGE...
#       makes a directory with a Debian that has these packages
#   debian.sh image BASE TREE IMAGE KERNEL SCRIPT PACKAGE...
#       makes an ext4 image of a copy of BASE, with further packages, with the
#       modules of a kernel that .ci/setup has unpacked, and with what a script
#       that is run in it has changed; the copy is made in TREE
#
# It must be run in a mount namespace of its own.

release=bookworm

# The machine's own source of Debian packages.
source=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(CODENAME)' |
	awk '$2 == "Debian" && $3 !~ /-/ { print $1; exit }')
[ -n "$source" ] || {
	echo "this machine's apt has no source of Debian packages: run apt-get update" >&2
	exit 1
}

make_base() {
	tree=$1
	shift
	# The package lists are kept for the images made from the tree.
	mmdebstrap --mode=root --variant=minbase --format=directory --skip=cleanup/apt/lists \
		--aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='force-unsafe-io' \
		--include="$(echo "$*" | tr ' ' ,)" "$release" "$tree" "$source"
}

# in_tree COMMAND... runs a command in the tree.
in_tree() {
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root \
		DEBIAN_FRONTEND=noninteractive ${http_proxy:+http_proxy="$http_proxy"} \
		chroot "$tree" "$@"
}

install_packages() {
	# No service is started in a tree that is not running.
	printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
	chmod 755 "$tree/usr/sbin/policy-rc.d"
	cp /etc/resolv.conf /etc/hosts "$tree/etc"
	in_tree apt-get install --yes "$@" || {
		in_tree apt-get update
		in_tree apt-get install --yes "$@"
	}
	in_tree apt-get clean
	rm -f "$tree/usr/sbin/policy-rc.d" "$tree/etc/resolv.conf"
}

# settle leaves the tree as a machine that has been set up.
settle() {
	rm -rf "$tree"/var/lib/apt/lists/* "$tree"/var/cache/apt/*.bin "$tree"/var/log/apt
	echo debian >"$tree/etc/hostname"
	echo '127.0.0.1 localhost debian' >"$tree/etc/hosts"
	echo 'LANG=C.UTF-8' >"$tree/etc/default/locale"
	echo 0123456789abcdef0123456789abcdef >"$tree/etc/machine-id"
	: >"$tree/etc/fstab"
	# The console is for messages, and nobody is there to update packages.
	for unit in serial-getty@.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer; do
		ln -sf /dev/null "$tree/etc/systemd/system/$unit"
	done
	# Where SELinux is installed, all files have the labels of its policy.
	for contexts in "$tree"/etc/selinux/*/contexts/files/file_contexts; do
		[ ! -e "$contexts" ] || in_tree setfiles -F "${contexts#"$tree"}" /
	done
}

make_image() {
	base=$1 tree=$2 image=$3 kernel=$4 script=$5
	shift 5
	cp -a "$base" "$tree"
	mkdir -p "$tree/lib/modules"
	cp -r "$kernel"/lib/modules/* "$tree/lib/modules"
	mount -t proc proc "$tree/proc"
	[ $# = 0 ] || install_packages "$@"
	[ -z "$script" ] || in_tree /bin/sh -euc "$script"
	settle
	umount "$tree/proc"
	rm -f "$image"
	mke2fs -q -t ext4 -L root -d "$tree" "$image" 4G
}

command=$1
shift
case $command in
base) make_base "$@" ;;
image) make_image "$@" ;;
esac
