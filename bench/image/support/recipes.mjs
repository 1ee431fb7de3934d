/** How each image is made, as shell scripts that run in a draft directory with mounts of their own (see host.mjs). */

/** Changes whenever an image would come out otherwise: a cached corpus of another recipe is built anew. */
export const RECIPE = 1;
export const IMAGE_BYTES = 3 * 2 ** 30;

const FIRST =
  "linux-image-cloud-amd64 systemd-sysv openssh-server nginx postgresql python3 perl git openjdk-17-jre-headless gcc libc6-dev locales";
const ADDED =
  "curl vim tcpdump strace rsync sqlite3 redis-server nodejs ruby php-cli python3-numpy imagemagick";
const REMOVED = "nginx nginx-common git";
const REINSTALLED = "python3.11-minimal perl-base systemd";
const UNRELATED =
  "linux-image-cloud-amd64 openssh-server apache2 mariadb-server php-fpm python3-numpy nodejs redis-server";

/** Services do not start in a chroot; /proc and /dev are there for the packages' scripts. */
const ENTER = `
mkdir -p root
mount -o loop,noatime "$image" root
prepare() {
  printf '#!/bin/sh\\nexit 101\\n' > root/usr/sbin/policy-rc.d && chmod +x root/usr/sbin/policy-rc.d
  cp -L /etc/resolv.conf root/etc/resolv.conf
  mount -t proc proc root/proc
  mount -t tmpfs tmpfs root/dev
  for node in null zero full random urandom tty; do touch root/dev/$node && mount --bind /dev/$node root/dev/$node; done
  ln -s /proc/self/fd root/dev/fd
  mkdir root/dev/shm && mount -t tmpfs tmpfs root/dev/shm
}
apt() { chroot root apt-get -q -y -o APT::Install-Recommends=0 -o Binary::apt-get::APT::Keep-Downloaded-Packages=1 "$@"; }
`;

const LEAVE = `
rm -f root/usr/sbin/policy-rc.d
umount -R root/dev root/proc
sync -f root
umount root
rmdir root
e2fsck -fn "$image"
`;

const blank = (image) => `
image=${image}
truncate -s ${IMAGE_BYTES} "$image"
mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$image"
`;

const sourcesList = ({ suite, release, updates, security }) =>
  [
    `deb ${release} ${suite} main`,
    ...(updates === undefined ? [] : [`deb ${updates} ${suite}-updates main`]),
    ...(security === undefined ? [] : [`deb ${security} ${suite}-security main`]),
  ].join("\\n");

/** The release as it was published: its security updates are what the second version changes. */
export function first({ suite, release }) {
  return `${blank("v1.raw")}${ENTER}
debootstrap --variant=minbase ${suite} root ${release}
prepare
apt update
apt install ${FIRST}
mkdir -p root/srv/data root/var/log/site
cp random-1 root/srv/data/blob-1
cp log-1 root/var/log/site/access.log
${LEAVE}`;
}

/** The same disk later: changed in place, so that its free blocks are full of what was deleted. */
export function second(sources) {
  return `
image=v2.raw
cp --sparse=always v1.raw "$image"
${ENTER}
prepare
printf '${sourcesList(sources)}\\n' > root/etc/apt/sources.list
apt update
apt upgrade
apt install ${ADDED}
apt purge ${REMOVED}
apt autoremove --purge
apt install --reinstall ${REINSTALLED}
rm -rf root/usr/share/doc/* root/usr/share/locale/*
rm -f root/var/cache/apt/archives/*.deb
cp random-2 root/srv/data/blob-2
cat log-2 >> root/var/log/site/access.log
${LEAVE}`;
}

export function unrelated(sources) {
  return `${blank("other.raw")}${ENTER}
debootstrap --variant=minbase ${sources.suite} root ${sources.release}
prepare
printf '${sourcesList(sources)}\\n' > root/etc/apt/sources.list
apt update
apt install ${UNRELATED}
mkdir -p root/srv/data
cp random-3 root/srv/data/blob-3
${LEAVE}`;
}
