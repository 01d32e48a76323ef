// Package databases has no code of its own: its tests snapshot a Debian guest
// whose PostgreSQL, MariaDB and Redis are being written to, with and without
// the hooks of packaging/hooks, and start the copies.
package databases
