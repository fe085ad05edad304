/* The signals of a monitor, and of the alias that may end with it: see task_state.py. */
#include "native.h"

static PyObject *str_demonitor, *str_reply_demonitor, *str_reply, *str_send_demonitor, *str_late, *str_calm,
    *str_send_down;

/* The tables of `self`, made on first use; borrowed. */
static RelationTables *
related(TaskState *self)
{
    if (self->relations == Py_None) {
        PyObject *made = self->over ? PyObject_CallOneArg(raise_exit, self->exit_reason)
                                    : PyObject_CallNoArgs(relations_class);
        if (made == NULL) {
            return NULL;
        }
        Py_SETREF(self->relations, made);
    }
    return (RelationTables *)self->relations;
}

PyObject *
state_related(TaskState *self, PyObject *Py_UNUSED(ignored))
{
    return Py_XNewRef((PyObject *)related(self));
}

static int
set_in(PyObject **table, PyObject *key, PyObject *value)
{
    if (*table == NULL && (*table = PyDict_New()) == NULL) {
        return -1;
    }
    return PyDict_SetItem(*table, key, value);
}

/* What `table` has for `key`, taken out: a new reference, or NULL, without an exception where it has nothing. */
static PyObject *
pop_from(PyObject *table, PyObject *key)
{
    PyObject *value = table == NULL ? NULL : PyDict_GetItemWithError(table, key);
    if (value == NULL) {
        return NULL;
    }
    Py_INCREF(value);
    if (PyDict_DelItem(table, key) < 0) {
        Py_CLEAR(value);
    }
    return value;
}

/* What ends the alias with this reference; borrowed; NULL where there is no such alias. */
static PyObject *
alias_end(const TaskState *self, PyObject *ref)
{
    return self->aliases == Py_None ? NULL : PyDict_GetItemWithError(self->aliases, ((Identifier *)ref)->number);
}

static int
open_alias(TaskState *self, PyObject *ref, PyObject *end)
{
    if (self->aliases == Py_None) {
        PyObject *made = PyDict_New();
        if (made == NULL) {
            return -1;
        }
        Py_SETREF(self->aliases, made);
    }
    return PyDict_SetItem(self->aliases, ((Identifier *)ref)->number, end);
}

static int
close_alias(TaskState *self, PyObject *ref)
{
    return PyDict_DelItem(self->aliases, ((Identifier *)ref)->number);
}

static bool
is(PyObject *text, PyObject *known)
{
    return text == known || PyUnicode_Compare(text, known) == 0;
}

/* Nothing more comes by `ref`: that it was to be urgent need not be remembered. */
static int
calm(TaskState *self, PyObject *ref)
{
    if (self->urgent == Py_None) {
        return 0;
    }
    PyObject *calmed = PyObject_CallMethodOneArg((PyObject *)self, str_calm, ref);
    Py_XDECREF(calmed);
    return calmed == NULL ? -1 : 0;
}

/* Close the alias that was to last as long as the monitor. */
static int
monitor_gone(TaskState *self, PyObject *ref)
{
    PyObject *end = alias_end(self, ref);
    if (end != NULL && (is(end, str_reply_demonitor) || is(end, str_demonitor))) {
        return close_alias(self, ref);
    }
    return PyErr_Occurred() ? -1 : 0;
}

static bool
is_ref(PyObject *ref)
{
    if (!Py_IS_TYPE(ref, &RefType)) {
        PyErr_Format(PyExc_TypeError, "a monitor is known by its Ref, not by %R", ref);
        return false;
    }
    return true;
}

static int
watch(TaskState *self, TaskState *watched, PyObject *address, PyObject *ref)
{
    /* Both are held: what is allocated can start the garbage collector, and a finalizer end either process. */
    RelationTables *mine = (RelationTables *)Py_XNewRef(related(self));
    RelationTables *theirs = mine == NULL ? NULL : (RelationTables *)Py_XNewRef(related(watched));
    PyObject *watcher = theirs == NULL ? NULL : PyTuple_Pack(2, self->pid, address);
    int failed = watcher == NULL || set_in(&mine->monitors, ref, watched->pid) < 0 ||
                 set_in(&theirs->watchers, ref, watcher) < 0;
    Py_XDECREF(watcher);
    Py_XDECREF(mine);
    Py_XDECREF(theirs);
    return failed ? -1 : 0;
}

/* The way of a call to a process of this node: a fresh reference that monitors it and lets one reply in. */
PyObject *
state_ask(TaskState *self, PyObject *pid)
{
    TaskState *asked = NULL;
    if (Py_IS_TYPE(pid, &PidType) && PyObject_TypeCheck(self->home, &ProcessTableType)) {
        asked = table_find((ProcessTable *)self->home, (Identifier *)pid);
    }
    if (asked == NULL) {
        Py_RETURN_NONE;
    }
    PyObject *ref = table_new_ref((ProcessTable *)self->home, NULL);
    if (ref == NULL) {
        return NULL;
    }
    Py_INCREF(asked);
    mailbox_mark((Mailbox *)self->mailbox, ref);
    if (open_alias(self, ref, str_reply_demonitor) < 0 || watch(self, asked, pid, ref) < 0) {
        Py_CLEAR(ref);
    }
    Py_DECREF(asked);
    return ref;
}

PyObject *
state_watch(TaskState *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3 || !PyObject_TypeCheck(args[0], &TaskStateType)) {
        PyErr_SetString(PyExc_TypeError, "watch takes a process, its address and a Ref");
        return NULL;
    }
    if (watch(self, (TaskState *)args[0], args[1], args[2]) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* The other end of the monitor `ref` on `target`, which is gone at this one. */
static int
tell_watched(TaskState *self, PyObject *target, PyObject *ref)
{
    if (Py_IS_TYPE(target, &PidType) && PyObject_TypeCheck(self->home, &ProcessTableType)) {
        TaskState *watched = table_find((ProcessTable *)self->home, (Identifier *)target);
        if (watched != NULL) {
            PyObject *entry =
                watched->relations == Py_None ? NULL : pop_from(((RelationTables *)watched->relations)->watchers, ref);
            Py_XDECREF(entry);
            return PyErr_Occurred() ? -1 : 0;
        }
    }
    PyObject *sent = PyObject_CallMethodObjArgs(self->home, str_send_demonitor, self->pid, target, ref, NULL);
    Py_XDECREF(sent);
    return sent == NULL ? -1 : 0;
}

PyObject *
state_remove_monitor(TaskState *self, PyObject *ref)
{
    if (!is_ref(ref)) {
        return NULL;
    }
    PyObject *target =
        self->relations == Py_None ? NULL : pop_from(((RelationTables *)self->relations)->monitors, ref);
    bool there = target != NULL;
    int failed = (!there && PyErr_Occurred()) || monitor_gone(self, ref) < 0;
    if (!failed && there) {
        failed = tell_watched(self, target, ref) < 0 || calm(self, ref) < 0;
    }
    Py_XDECREF(target);
    return failed ? NULL : PyBool_FromLong(there);
}

PyObject *
state_receive_down(TaskState *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3 || !is_ref(args[0])) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "receive_down takes a Ref, a target and a reason");
    }
    PyObject *target =
        self->relations == Py_None ? NULL : pop_from(((RelationTables *)self->relations)->monitors, args[0]);
    if (target == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    Py_DECREF(target);
    PyObject *down = monitor_gone(self, args[0]) < 0 ? NULL : PyObject_Vectorcall(down_class, args, 3, NULL);
    PyObject *admitted = down == NULL ? NULL : state_admit_by(self, args[0], down);
    Py_XDECREF(down);
    if (admitted != NULL && calm(self, args[0]) < 0) {
        Py_CLEAR(admitted);
    }
    return admitted;
}

/* `self` has ended, with its place in the table free: fire all monitors on it. */
int
tell_watchers(TaskState *self)
{
    RelationTables *relations = (RelationTables *)self->relations;
    self->relations = Py_NewRef(Py_None);
    Py_ssize_t position = 0;
    PyObject *ref, *watcher; /* borrowed; nothing below touches this table, which nobody else knows any more */
    int failed = 0;
    while (!failed && relations->watchers != NULL && PyDict_Next(relations->watchers, &position, &ref, &watcher)) {
        PyObject *pid = PyTuple_GET_ITEM(watcher, 0), *address = PyTuple_GET_ITEM(watcher, 1);
        TaskState *local = (TaskState *)Py_XNewRef(table_find((ProcessTable *)self->home, (Identifier *)pid));
        PyObject *args[] = {ref, address, self->exit_reason};
        PyObject *told = local != NULL ? state_receive_down(local, args, 3)
                                       : PyObject_CallMethodObjArgs(self->home, str_send_down, address, pid, ref,
                                                                    self->exit_reason, NULL);
        failed = told == NULL;
        Py_XDECREF(told);
        Py_XDECREF(local);
    }
    Py_DECREF(relations);
    return failed ? -1 : 0;
}

PyObject *
state_deliver_alias(TaskState *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs < 2 || nargs > 3 || !is_ref(args[0])) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "deliver_alias takes a Ref and a message");
    }
    bool urgent = nargs == 3 && args[2] == Py_True;
    PyObject *end = alias_end(self, args[0]);
    if (end == NULL) {
        return PyErr_Occurred() ? NULL : PyObject_CallMethodObjArgs((PyObject *)self, str_late, args[0], args[1], NULL);
    }
    Py_INCREF(end);
    PyObject *admitted = urgent ? state_admit_by(self, args[0], args[1]) : state_admit(self, args[1]);
    if (admitted != NULL && is(end, str_reply)) {
        if (close_alias(self, args[0]) < 0 || calm(self, args[0]) < 0) {
            Py_CLEAR(admitted);
        }
    }
    else if (admitted != NULL && is(end, str_reply_demonitor)) {
        Py_SETREF(admitted, state_remove_monitor(self, args[0]));
    }
    Py_DECREF(end);
    return admitted;
}

int
monitors_ready(void)
{
    str_demonitor = PyUnicode_InternFromString("demonitor");
    str_reply_demonitor = PyUnicode_InternFromString("reply_demonitor");
    str_reply = PyUnicode_InternFromString("reply");
    str_send_demonitor = PyUnicode_InternFromString("send_demonitor");
    str_send_down = PyUnicode_InternFromString("send_down");
    str_calm = PyUnicode_InternFromString("calm");
    str_late = PyUnicode_InternFromString("late");
    return PyErr_Occurred() == NULL ? 0 : -1;
}
