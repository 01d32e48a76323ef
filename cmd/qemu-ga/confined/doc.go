// Package confined holds the tests of the agent under SELinux, with real
// policies in enforcing mode: in a scratch guest whose policy has a stand-in
// for Fedora's domain of the agent, and in a full Debian guest, where our module
// brings the domain. The policies are Debian's with some lines of CIL; what our
// module adds to them is checked rule by rule.
package confined
