# bash completion of qemu-ga
