# Starts the servers on a copy of a guest's data disk, beside each other, and
# shows what they say and hold:
#
#   copy.sh SYSTEM DISK RESULTS
#
# SYSTEM is the image of the guest's system, which is only read, DISK the
# snapshot, RESULTS a directory for the logs and contents. To be run in mount
# and process namespaces of its own.

system=$1 disk=$2 results=$3
root=$results/root
mkdir "$root"
mount -o loop,ro,noload "$system" "$root"
for dir in tmp run dev mnt; do
	mount -t tmpfs -o mode=1777 tmpfs "$root/$dir"
done
mount -t proc proc "$root/proc"
for device in null zero random urandom; do
	: >"$root/dev/$device"
	mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm" "$root/mnt/data" "$root/mnt/results"
chmod 1777 "$root/dev/shm"
mount -o loop "$disk" "$root/mnt/data"
mount --bind "$results" "$root/mnt/results"
for name in postgresql mysql redis; do
	mount --bind "$root/mnt/data/$name" "$root/var/lib/$name"
done
cat >"$root/run/start" <<'END'
PATH=/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C PATH
cd /
as() {
	user=$1
	shift
	setpriv --reuid "$user" --regid "$user" --init-groups "$@"
}

# ask COMMAND... repeats a question until the server answers it.
ask() {
	for _ in $(seq 600); do
		"$@" 2>/run/why && return
		sleep 0.05
	done
	cat /run/why >&2
	return 1
}

postgresql() {
	as postgres postgres -D /var/lib/postgresql/15/main -c config_file=/etc/postgresql/15/main/postgresql.conf \
		-c unix_socket_directories=/run -c listen_addresses= -c ssl=off -c fsync=off \
		-c external_pid_file=/run/postgresql.pid >/mnt/results/postgresql.log 2>&1 &
	ask as postgres psql -X -h /run -Atc 'SELECT n FROM load ORDER BY n' postgres >/mnt/results/postgresql
	kill -QUIT $!
}

mysql() {
	mariadbd --no-defaults --user=mysql --datadir=/var/lib/mysql --socket=/run/mysql.sock --skip-networking \
		--skip-grant-tables --innodb-log-file-size=16M >/mnt/results/mysql.log 2>&1 &
	ask mariadb --no-defaults -S /run/mysql.sock -N -e 'SELECT n FROM load_test.load_table ORDER BY n' >/mnt/results/mysql
	kill -KILL $!
}

# redis NAME OPTION...
redis() {
	name=$1
	shift
	as redis redis-server --port 0 --unixsocket "/run/$name.sock" "$@" >"/mnt/results/$name.log" 2>&1 &
	ask redis-cli -e -s "/run/$name.sock" GET n >"/mnt/results/$name"
	kill -KILL $!
}

postgresql &
mysql &
redis redis --dir /var/lib/redis &
redis redis-aof --dir /var/lib/redis/aof --appendonly yes &
wait
END
chroot "$root" /bin/sh /run/start
