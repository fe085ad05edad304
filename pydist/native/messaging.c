/* send, and who calls it: see messaging.py. */
#include "native.h"

static PyObject *str_send;

TaskState *
current_state(void)
{
    if (running != NULL && running->current != NULL) {
        return (TaskState *)running->current;
    }
    PyObject *never = PyObject_CallNoArgs(not_in_process); /* raises */
    Py_XDECREF(never);
    return NULL;
}

PyObject *
native_current(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return Py_XNewRef((PyObject *)current_state());
}

PyObject *
native_acting(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    TaskState *process = current_state();
    return process == NULL ? NULL : PyTuple_Pack(2, (PyObject *)process, process->home);
}

static PyObject *
send_elsewhere(PyObject *target, PyObject *message)
{
    TaskState *sender = current_state();
    return sender == NULL ? NULL : PyObject_CallMethodObjArgs(sender->home, str_send, target, message, NULL);
}

PyObject *
native_send(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    if (nargs != 2 || kwnames != NULL) {
        return PyObject_Vectorcall(send_slowly, args, nargs, kwnames);
    }
    PyObject *target = args[0], *message = args[1];
    if (!Py_IS_TYPE(target, &PidType) || ((Identifier *)target)->process == NULL) {
        return send_elsewhere(target, message);
    }
    TaskState *receiver = (TaskState *)((Identifier *)target)->process;
    Mailbox *box = (Mailbox *)receiver->mailbox;
    if (running == NULL || receiver->scheduler != (PyObject *)running ||
        box->urgent.len + box->ordinary.len >= box->limit) {
        return send_elsewhere(target, message);
    }
    if (ring_push(&box->ordinary, message) < 0 || state_waken(receiver) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

int
messaging_ready(void)
{
    str_send = PyUnicode_InternFromString("send");
    return str_send == NULL ? -1 : 0;
}
