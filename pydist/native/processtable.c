/* ProcessTable: see process_table.py. */
#include "native.h"

static int
table_init(ProcessTable *self, PyObject *args, PyObject *kwargs)
{
    PyObject *kind, *node, *creation;
    static char *names[] = {"kind", "node", "creation", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!O!", names, &PyType_Type, &kind, &PyUnicode_Type, &node,
                                     &PyLong_Type, &creation)) {
        return -1;
    }
    if (!PyType_IsSubtype((PyTypeObject *)kind, &TaskStateType)) {
        PyErr_SetString(PyExc_TypeError, "the kind of a table's processes is a subclass of TaskState");
        return -1;
    }
    Py_XSETREF(self->kind, Py_NewRef(kind));
    Py_XSETREF(self->node, Py_NewRef(node));
    Py_XSETREF(self->creation, Py_NewRef(creation));
    Py_XSETREF(self->table, PyDict_New());
    return self->table == NULL ? -1 : 0;
}

static int
table_traverse(ProcessTable *self, visitproc visit, void *arg)
{
    Py_VISIT(self->kind);
    Py_VISIT(self->table);
    return 0;
}

static int
table_clear(ProcessTable *self)
{
    Py_CLEAR(self->kind);
    Py_CLEAR(self->table);
    return 0;
}

static void
table_dealloc(ProcessTable *self)
{
    PyObject_GC_UnTrack(self);
    table_clear(self);
    Py_CLEAR(self->node);
    Py_CLEAR(self->creation);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *
new_identifier(ProcessTable *self, PyTypeObject *type, unsigned long long number)
{
    PyObject *as_object = PyLong_FromUnsignedLongLong(number);
    if (as_object == NULL) {
        return NULL;
    }
    PyObject *args[] = {self->node, as_object, self->creation};
    PyObject *made = PyObject_Vectorcall((PyObject *)type, args, 3, NULL);
    Py_DECREF(as_object);
    return made;
}

PyObject *
table_new_ref(ProcessTable *self, PyObject *Py_UNUSED(ignored))
{
    return new_identifier(self, &RefType, ++self->last_ref);
}

static PyObject *
table_new_process(ProcessTable *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "new_process takes a coroutine and a parent");
        return NULL;
    }
    PyObject *pid = new_identifier(self, &PidType, ++self->last_pid);
    PyObject *context = pid == NULL ? NULL : PyContext_CopyCurrent();
    PyObject *process = NULL;
    if (context != NULL) {
        process = state_make((PyTypeObject *)self->kind, pid, args[0], (PyObject *)self, context, args[1]);
    }
    if (process != NULL) {
        ((Identifier *)pid)->process = process;
        if (PyDict_SetItem(self->table, ((Identifier *)pid)->number, process) < 0) {
            Py_CLEAR(process);
        }
    }
    Py_XDECREF(context);
    Py_XDECREF(pid);
    return process;
}

int
table_strike(ProcessTable *self, TaskState *process)
{
    Identifier *pid = (Identifier *)process->pid;
    pid->process = NULL;
    if (PyDict_DelItem(self->table, pid->number) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_KeyError)) {
            return -1;
        }
        PyErr_Clear();
    }
    return 0;
}

static PyObject *
table_py_strike(ProcessTable *self, PyObject *process)
{
    if (!PyObject_TypeCheck(process, &TaskStateType) || table_strike(self, (TaskState *)process) < 0) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "not a process: %R", process);
    }
    Py_RETURN_NONE;
}

/* A borrowed reference to the living process that `pid` names; NULL, without an exception, where there is none. */
TaskState *
table_find(ProcessTable *self, Identifier *pid)
{
    TaskState *process = (TaskState *)pid->process;
    if (process != NULL && process->home == (PyObject *)self) {
        return process;
    }
    process = (TaskState *)PyDict_GetItemWithError(self->table, pid->number);
    if (process == NULL || PyObject_RichCompareBool(process->pid, (PyObject *)pid, Py_EQ) != 1) {
        PyErr_Clear();
        return NULL;
    }
    return process;
}

static int
check_pid(PyObject *pid)
{
    if (!Py_IS_TYPE(pid, &PidType)) {
        PyErr_Format(PyExc_TypeError, "not a Pid: %R", pid);
        return -1;
    }
    return 0;
}

static PyObject *
table_process(ProcessTable *self, PyObject *pid)
{
    if (check_pid(pid) < 0) {
        return NULL;
    }
    TaskState *process = table_find(self, (Identifier *)pid);
    return Py_NewRef(process == NULL ? Py_None : (PyObject *)process);
}

static PyObject *
table_is_local(ProcessTable *self, PyObject *pid)
{
    if (check_pid(pid) < 0) {
        return NULL;
    }
    PyObject *node = ((Identifier *)pid)->node;
    return PyObject_RichCompare(node, self->node, Py_EQ);
}

static PyMethodDef table_methods[] = {
    {"new_ref", (PyCFunction)table_new_ref, METH_NOARGS, NULL},
    {"new_process", (PyCFunction)(void (*)(void))table_new_process, METH_FASTCALL, NULL},
    {"strike", (PyCFunction)table_py_strike, METH_O, NULL},
    {"process", (PyCFunction)table_process, METH_O, NULL},
    {"is_local", (PyCFunction)table_is_local, METH_O, NULL},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL},
};

static PyMemberDef table_members[] = {
    {"node", T_OBJECT, offsetof(ProcessTable, node), READONLY, NULL},
    {"creation", T_OBJECT, offsetof(ProcessTable, creation), READONLY, NULL},
    {"table", T_OBJECT, offsetof(ProcessTable, table), READONLY, "The living processes by number."},
    {NULL},
};

PyTypeObject ProcessTableType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pydist.process_table.ProcessTable",
    .tp_doc = "The living processes of a node: see the class in process_table.py.",
    .tp_basicsize = sizeof(ProcessTable),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)table_init,
    .tp_dealloc = (destructor)table_dealloc,
    .tp_traverse = (traverseproc)table_traverse,
    .tp_clear = (inquiry)table_clear,
    .tp_methods = table_methods,
    .tp_members = table_members,
};
