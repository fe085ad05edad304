/* TaskState: see task_state.py. Fields alone; what they mean is said there, and the rules are process.py's. */
#include "native.h"

static PyObject *str_enqueue, *str_overflow, *str_scheduler, *str_qualname;

static PyObject *
none(void)
{
    return Py_NewRef(Py_None);
}

PyObject *
state_make(PyTypeObject *type, PyObject *pid, PyObject *coroutine, PyObject *home, PyObject *context, PyObject *parent)
{
    TaskState *self = (TaskState *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->coroutine = Py_NewRef(coroutine);
    self->context = Py_NewRef(context);
    self->pid = Py_NewRef(pid);
    self->home = Py_NewRef(home);
    self->parent = Py_NewRef(parent);
    self->relations = none();
    self->aliases = none();
    self->thrown = none();
    self->fut_waiter = none();
    self->cancel_message = none();
    self->callbacks = none();
    self->result = none();
    self->exception = none();
    self->timer = none();
    self->urgent = none();
    self->bound = none();
    self->flow = none();
    self->exit_reason = Py_NewRef(normal);
    self->deadline = Py_HUGE_VAL;
    self->reductions = REDUCTIONS;
    self->patience = PATIENCE;
    self->parked = 1;
    self->mailbox = PyObject_CallNoArgs((PyObject *)&MailboxType);
    self->scheduler = PyObject_GetAttr(home, str_scheduler);
    self->label = PyObject_GetAttr(coroutine, str_qualname);
    if (self->label == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        self->label = PyObject_Repr(coroutine);
    }
    if (self->mailbox == NULL || self->scheduler == NULL || self->label == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static PyObject *
state_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *pid, *coroutine, *home, *context, *parent;
    static char *names[] = {"pid", "coroutine", "home", "context", "parent", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!OOO!O", names, &PidType, &pid, &coroutine, &home,
                                     &PyContext_Type, &context, &parent)) {
        return NULL;
    }
    return state_make(type, pid, coroutine, home, context, parent);
}

static int
state_traverse(TaskState *self, visitproc visit, void *arg)
{
    Py_VISIT(self->coroutine);
    Py_VISIT(self->scheduler);
    Py_VISIT(self->context);
    Py_VISIT(self->home);
    Py_VISIT(self->mailbox);
    Py_VISIT(self->relations);
    Py_VISIT(self->aliases);
    Py_VISIT(self->exit_reason);
    Py_VISIT(self->thrown);
    Py_VISIT(self->fut_waiter);
    Py_VISIT(self->cancel_message);
    Py_VISIT(self->callbacks);
    Py_VISIT(self->result);
    Py_VISIT(self->exception);
    Py_VISIT(self->timer);
    Py_VISIT(self->urgent);
    Py_VISIT(self->bound);
    Py_VISIT(self->flow);
    return 0;
}

/* Nobody finds the process by its pid any more. */
static void
leave_pid(TaskState *self)
{
    Identifier *pid = (Identifier *)self->pid;
    if (pid != NULL && pid->process == (PyObject *)self) {
        pid->process = NULL;
    }
}

static int
state_clear(TaskState *self)
{
    leave_pid(self); /* first: what is let go below may run any code, and that send to the pid */
    Py_CLEAR(self->coroutine);
    Py_CLEAR(self->scheduler);
    Py_CLEAR(self->context);
    Py_CLEAR(self->home);
    Py_CLEAR(self->mailbox);
    Py_CLEAR(self->relations);
    Py_CLEAR(self->aliases);
    Py_CLEAR(self->exit_reason);
    Py_CLEAR(self->thrown);
    Py_CLEAR(self->fut_waiter);
    Py_CLEAR(self->cancel_message);
    Py_CLEAR(self->callbacks);
    Py_CLEAR(self->result);
    Py_CLEAR(self->exception);
    Py_CLEAR(self->timer);
    Py_CLEAR(self->urgent);
    Py_CLEAR(self->bound);
    Py_CLEAR(self->flow);
    return 0;
}

static void
state_dealloc(TaskState *self)
{
    PyObject_GC_UnTrack(self);
    state_clear(self);
    Py_CLEAR(self->pid);
    Py_CLEAR(self->parent);
    Py_CLEAR(self->label);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Step the coroutine soon, if it is parked. -1 with an exception. */
int
state_waken(TaskState *self)
{
    if (!self->parked) {
        return 0;
    }
    self->parked = 0;
    if (running != NULL && self->scheduler == (PyObject *)running) {
        return ring_push(&running->ready, (PyObject *)self);
    }
    PyObject *enqueued = PyObject_CallMethodOneArg(self->scheduler, str_enqueue, (PyObject *)self);
    Py_XDECREF(enqueued);
    return enqueued == NULL ? -1 : 0;
}

static PyObject *
state_py_waken(TaskState *self, PyObject *Py_UNUSED(ignored))
{
    if (state_waken(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
state_admit(TaskState *self, PyObject *message)
{
    if (ring_push(&((Mailbox *)self->mailbox)->ordinary, message) < 0 || state_waken(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* A message that came by the reference, or the link, that is `key`. */
PyObject *
state_admit_by(TaskState *self, PyObject *key, PyObject *message)
{
    int asked = self->urgent == Py_None ? 0 : PySet_Contains(self->urgent, key);
    if (asked == 0) {
        return state_admit(self, message);
    }
    if (asked < 0 || ring_push(&((Mailbox *)self->mailbox)->urgent, message) < 0 || state_waken(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
state_py_admit_by(TaskState *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "admit_by takes a key and a message");
        return NULL;
    }
    return state_admit_by(self, args[0], args[1]);
}

static PyObject *
state_deliver(TaskState *self, PyObject *message)
{
    Mailbox *box = (Mailbox *)self->mailbox;
    if (box->urgent.len + box->ordinary.len >= box->limit) {
        return PyObject_CallMethodOneArg((PyObject *)self, str_overflow, message);
    }
    return state_admit(self, message);
}

static PyMethodDef state_methods[] = {
    {"waken", (PyCFunction)state_py_waken, METH_NOARGS, NULL},
    {"admit", (PyCFunction)state_admit, METH_O, NULL},
    {"admit_by", (PyCFunction)(void (*)(void))state_py_admit_by, METH_FASTCALL, NULL},
    {"deliver", (PyCFunction)state_deliver, METH_O, NULL},
    {"deliver_alias", (PyCFunction)(void (*)(void))state_deliver_alias, METH_FASTCALL, NULL},
    {"related", (PyCFunction)state_related, METH_NOARGS, NULL},
    {"ask", (PyCFunction)state_ask, METH_O, NULL},
    {"watch", (PyCFunction)(void (*)(void))state_watch, METH_FASTCALL, NULL},
    {"remove_monitor", (PyCFunction)state_remove_monitor, METH_O, NULL},
    {"receive_down", (PyCFunction)(void (*)(void))state_receive_down, METH_FASTCALL, NULL},
    {NULL},
};

#define OBJECT(name, field) {name, T_OBJECT, offsetof(TaskState, field), 0, NULL}
#define FLAG(name, field) {name, T_BOOL, offsetof(TaskState, field), 0, NULL}
#define NUMBER(name, field) {name, T_INT, offsetof(TaskState, field), 0, NULL}

static PyMemberDef state_members[] = {
    OBJECT("coroutine", coroutine),
    OBJECT("scheduler", scheduler),
    OBJECT("context", context),
    {"pid", T_OBJECT, offsetof(TaskState, pid), READONLY, NULL},
    OBJECT("home", home),
    OBJECT("parent", parent),
    OBJECT("label", label),
    {"mailbox", T_OBJECT, offsetof(TaskState, mailbox), READONLY, NULL},
    OBJECT("relations", relations),
    OBJECT("aliases", aliases),
    OBJECT("exit_reason", exit_reason),
    OBJECT("thrown", thrown),
    OBJECT("timer", timer),
    OBJECT("urgent", urgent),
    OBJECT("bound", bound),
    OBJECT("flow", flow),
    OBJECT("_fut_waiter", fut_waiter),
    OBJECT("_cancel_message", cancel_message),
    OBJECT("_callbacks", callbacks),
    OBJECT("_result", result),
    OBJECT("_exception", exception),
    {"deadline", T_DOUBLE, offsetof(TaskState, deadline), 0, NULL},
    {"spent", T_ULONGLONG, offsetof(TaskState, spent), 0, NULL},
    NUMBER("reductions", reductions),
    NUMBER("_cancel_requests", cancel_requests),
    NUMBER("_patience", patience),
    FLAG("parked", parked),
    FLAG("over", over),
    FLAG("unusual", unusual),
    FLAG("dying", dying),
    FLAG("trapping", trapping),
    FLAG("timed_out", timed_out),
    FLAG("_must_cancel", must_cancel),
    FLAG("holding", holding),
    {NULL},
};

PyTypeObject TaskStateType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pydist.task_state.TaskState",
    .tp_doc = "What stepping, sending and receiving touch: see the class in task_state.py.",
    .tp_basicsize = sizeof(TaskState),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
    .tp_new = state_new,
    .tp_dealloc = (destructor)state_dealloc,
    .tp_traverse = (traverseproc)state_traverse,
    .tp_clear = (inquiry)state_clear,
    .tp_methods = state_methods,
    .tp_members = state_members,
};

int
process_ready(void)
{
    str_enqueue = PyUnicode_InternFromString("enqueue");
    str_overflow = PyUnicode_InternFromString("overflow");
    str_scheduler = PyUnicode_InternFromString("scheduler");
    str_qualname = PyUnicode_InternFromString("__qualname__");
    return PyErr_Occurred() == NULL && PyType_Ready(&TaskStateType) == 0 ? 0 : -1;
}
