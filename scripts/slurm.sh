#!/usr/bin/env bash
# A real Slurm of one machine without accounting, to try studies on: munged, slurmctld and slurmd, all of whose
# files are in one folder. Nothing of the system is changed, and it needs no systemd. Tried with Slurm 22.05.
#
#   apt-get install slurmctld slurmd slurm-client munge      # Debian or Ubuntu
#   scripts/slurm.sh start FOLDER [PORT]                     # as root; FOLDER is new or was made by this script
#   export SLURM_CONF=FOLDER/slurm.conf                      # now sbatch, squeue and fairlora use it
#   scripts/slurm.sh status FOLDER
#   scripts/slurm.sh stop FOLDER                             # and every job with it; FOLDER stays
#
# PORT (6817) and the one above it must be free. The waits of Slurm that a person would notice are cut short.
set -euo pipefail

usage() {
  sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
  exit 2
}
refuse() {
  echo "slurm.sh: $*" >&2
  exit 1
}
[[ $# -ge 2 ]] || usage
action=$1 folder=$(realpath -m "$2") port=${3:-6817}
export SLURM_CONF=$folder/slurm.conf PATH=$PATH:/usr/sbin:/sbin
# All that a Slurm listens for is local: nothing of it is seen from outside.
host=$(hostname -s)

settings() {
  cat <<CONF
ClusterName=fairlora
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
AuthType=auth/munge
# A queued-again job waits for its old credential to expire: 120 seconds by default.
AuthInfo=socket=$folder/munge.socket,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
# No accounting, as on many small clusters: sacct has nothing to say.
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
# No cgroups: they need systemd, or a machine of one's own.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobRequeue=1
KillWait=5
MinJobAge=300
MaxArraySize=101
EnforcePartLimits=ALL
ReturnToService=2
SchedulerParameters=sched_interval=2,batch_sched_delay=0,sched_min_interval=0
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=1440 State=UP OverSubscribe=NO
CONF
}

start() {
  [[ $(id -u) -eq 0 ]] || refuse "start it as root: slurmd starts jobs as their users"
  for command in munged slurmctld slurmd sbatch; do
    command -v "$command" >/dev/null ||
      refuse "$command is not installed: apt-get install slurmctld slurmd slurm-client munge"
  done
  if [[ -d $folder && -n $(ls -A "$folder") && ! -f $SLURM_CONF ]]; then
    refuse "$folder holds other things: name a new folder"
  fi
  umask 022 # munged trusts no folder that others may write in
  mkdir -p "$folder"/{state,spool}
  settings >"$SLURM_CONF"
  [[ -f $folder/munge.key ]] || (umask 077 && head -c 1024 /dev/urandom >"$folder/munge.key")
  # --force: a folder below /tmp is writable by all, for all its sticky bit.
  if munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" \
    --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" --seed-file="$folder/munged.seed" &&
    slurmctld -c && slurmd -c -N "$host"; then
    for _ in {1..60}; do
      if [[ $(sinfo --noheader --format=%t 2>/dev/null) == idle ]]; then
        echo "export SLURM_CONF=$SLURM_CONF"
        return
      fi
      sleep 0.5
    done
  fi
  tail -n 5 "$folder"/*.log >&2 || true
  stop
  refuse "Slurm does not start here; see $folder/*.log"
}

stop() {
  jobs=$(squeue --noheader --format=%A 2>/dev/null) || jobs=
  # shellcheck disable=SC2086 # a word a job
  [[ -z $jobs ]] || scancel $jobs
  for _ in {1..40}; do
    [[ -n $(squeue --noheader 2>/dev/null) ]] || break
    sleep 0.5
  done
  for daemon in slurmd slurmctld munged; do
    pid=$(cat "$folder/$daemon.pid" 2>/dev/null) || continue
    # A number alone could by now be anybody's.
    [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "$daemon" ]] || continue
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
  done
}

case $action in
start) start ;;
stop) stop ;;
status) scontrol ping && sinfo && squeue ;;
*) usage ;;
esac
