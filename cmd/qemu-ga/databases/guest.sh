# Makes the servers of a Debian guest write to its data disk at /mnt/data, and
# to start there, for as long as the guest lives.

for name in postgresql mysql redis; do
	cp -a "/var/lib/$name" /mnt/data
	mount --bind "/mnt/data/$name" "/var/lib/$name"
done
# Small files, as each snapshot is copied.
printf '[mariadbd]\ninnodb_log_file_size=16M\ninnodb_buffer_pool_size=32M\n' >/etc/mysql/mariadb.conf.d/99-test.cnf
printf '\nsave 3600 1\n' >>/etc/redis/redis.conf
mkdir -m 750 /var/lib/redis/aof
chown redis:redis /var/lib/redis/aof
systemctl start postgresql mariadb redis-server
runuser -u redis -- redis-server --port 6380 --dir /var/lib/redis/aof --appendonly yes --appendfsync always --daemonize yes

runuser -u postgres -- psql -X -q -c 'CREATE TABLE load (n BIGSERIAL PRIMARY KEY, v TEXT)'
mariadb -e 'CREATE DATABASE load_test; CREATE TABLE load_test.load_table (n BIGINT AUTO_INCREMENT PRIMARY KEY, v TEXT);
	CREATE TABLE load_test.ten SELECT seq FROM load_test.seq_1_to_10;'

# load NAME STATEMENT CLIENT... has a client do the same again and again, and
# notes what the server has acknowledged, in memory. A server that went away is
# connected to again.
cat >/run/load <<'END'
name=$1 statement=$2
shift 2
statements() {
	case $name in
	redis*) perl -e '$| = 1; while (print "$ARGV[0]\n") { select undef, undef, undef, 0.05 }' "$statement" ;;
	*) yes "$statement" ;;
	esac
}
while :; do
	statements 2>/dev/null | "$@" 2>/dev/null
	sleep 0.1
done >>/run/acknowledged.$name
END
