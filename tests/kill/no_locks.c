/* A system on which every lock is granted, as on a file system that has none. Loaded by tests/kill/fence.rs. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>

int flock(int fd, int operation) {
    (void)fd;
    (void)operation;
    return 0;
}

/* redb's byte-range locks. */
long syscall(long number, ...) {
    long (*real)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++) {
        a[i] = va_arg(list, long);
    }
    va_end(list);
    if (number == SYS_fcntl && (a[1] == F_OFD_SETLK || a[1] == F_OFD_SETLKW)) {
        return 0;
    }
    if (number == SYS_fcntl && a[1] == F_OFD_GETLK) {
        ((struct flock *)a[2])->l_type = F_UNLCK;
        return 0;
    }
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
