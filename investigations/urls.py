from django.urls import path

from investigations import views

app_name = "investigations"

urlpatterns = [
    path("investigations/", views.listed, name="list"),
    path("investigations/<int:number>", views.detail, name="detail"),
    path("devices/", views.devices, name="devices"),
    path("devices/<int:number>", views.device, name="device"),
    path("devices/<int:number>/<slug:code>", views.act, name="act"),
    path("mailboxes/<int:number>", views.mailbox, name="mailbox"),
    path("mailboxes/<int:number>/<slug:code>", views.act_on_mailbox, name="act_on_mailbox"),
    path("messages/<slug:key>", views.message, name="message"),
    path("messages/<slug:key>/<slug:code>", views.act_on_message, name="act_on_message"),
    path("files/<slug:sha256>", views.file, name="file"),
    path("files/<slug:sha256>/<slug:code>", views.act_on_file, name="act_on_file"),
]
